"""Wallets of an account: linked, listed, unlinked."""

from collections.abc import Sequence

from chassis.clock import Clock
from chassis.context import Principal
from chassis.crashpoints import crashpoint
from chassis.errors import AlreadyExists, FailedPrecondition, NotFound
from chassis.ids import IdSource
from chassis.transactions import Transactions
from services.auth.application.access import user_unknown
from services.auth.application.ports import Accounts, Events, Logins, UsedNonces, Wallets
from services.auth.application.wallet_challenges import Proof, VerifyProof, nonce_used
from services.auth.domain.account import Account
from services.auth.domain.challenges import Purpose
from services.auth.domain.events import WalletLinked, WalletUnlinked
from services.auth.domain.wallets import MOST_WALLETS, Wallet, require_other_means

LINK_CRASHPOINTS = ("auth.wallet_link.nonce_used", "auth.wallet_link.stored")


class LinkWallet:
    """Gives an account a wallet that has signed a challenge made for that account."""

    def __init__(
        self,
        transactions: Transactions,
        verify: VerifyProof,
        accounts: Accounts,
        wallets: Wallets,
        nonces: UsedNonces,
        events: Events,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._verify = verify
        self._accounts = accounts
        self._wallets = wallets
        self._nonces = nonces
        self._events = events
        self._clock = clock
        self._ids = ids

    async def __call__(self, actor: Principal, message: str, signature: bytes) -> Wallet:
        """The wallet; the one that is there already when the account has it.

        Raises:
            InvalidArgument, Unauthenticated: as `VerifyProof`; WALLET_NONCE_USED.
            AlreadyExists: WALLET_TAKEN.
            FailedPrecondition: WALLET_LIMIT_REACHED.
            NotFound: USER_UNKNOWN.
        """
        user_id = user_of(actor)
        proof = await self._verify(Purpose.LINK, message, signature, user_id=user_id)
        async with self._transactions.transaction():
            # Locked: two links at once must not pass the limit, nor outlive the account.
            await _locked(self._accounts, user_id)
            if not await self._nonces.use(proof.nonce_digest, proof.expires_at):
                raise nonce_used()
            crashpoint(LINK_CRASHPOINTS[0])
            wallet = await self._add(user_id, proof)
            crashpoint(LINK_CRASHPOINTS[1])
            return wallet

    async def _add(self, user_id: str, proof: Proof) -> Wallet:
        known = await self._wallets.by_address(proof.address)
        if known is None:
            if await self._wallets.count(user_id) >= MOST_WALLETS:
                raise FailedPrecondition(
                    "WALLET_LIMIT_REACHED", f"an account has at most {MOST_WALLETS} wallets"
                )
            wallet = Wallet(self._ids.uuid7(), user_id, proof.address, proof.chain_id, self._clock.now())
            if await self._wallets.add(wallet):
                await self._events.publish(WalletLinked(user_id, wallet.wallet_id))
                return wallet
            known = await self._wallets.by_address(proof.address)  # another account was quicker
        if known is None or known.user_id != user_id:
            raise AlreadyExists("WALLET_TAKEN", "the wallet is linked to another account")
        return known


class UnlinkWallet:
    """Takes a wallet from its account and ends the logins that it began."""

    def __init__(
        self,
        transactions: Transactions,
        accounts: Accounts,
        wallets: Wallets,
        logins: Logins,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._accounts = accounts
        self._wallets = wallets
        self._logins = logins
        self._events = events
        self._clock = clock

    async def __call__(self, actor: Principal, wallet_id: str) -> None:
        """Unlink it.

        Raises:
            NotFound: USER_UNKNOWN, WALLET_NOT_LINKED.
            FailedPrecondition: LAST_SIGN_IN_MEANS.
        """
        user_id = user_of(actor)
        async with self._transactions.transaction():
            account = await _locked(self._accounts, user_id)
            left = await self._wallets.count(user_id) - 1
            if not await self._wallets.remove(user_id, wallet_id):
                raise NotFound("WALLET_NOT_LINKED", "the account has no such wallet")
            require_other_means(account, left)
            await self._logins.revoke_wallet(wallet_id, self._clock.now())
            await self._events.publish(WalletUnlinked(user_id, wallet_id))


class WalletQueries:
    """What an account has."""

    def __init__(self, wallets: Wallets) -> None:
        self._wallets = wallets

    async def list(self, actor: Principal, after: str | None, limit: int) -> Sequence[Wallet]:
        """Wallets of the caller linked after the wallet `after`, oldest first."""
        return await self._wallets.of_user(user_of(actor), after, limit)


def user_of(actor: Principal) -> str:
    """The account of a caller.

    Raises:
        NotFound: USER_UNKNOWN; services have no account.
    """
    if actor.kind != "user":
        raise user_unknown()
    return actor.subject


async def _locked(accounts: Accounts, user_id: str) -> Account:
    account = await accounts.get(user_id, lock=True)
    if account is None:
        raise user_unknown()
    return account
