"""From a message that a wallet has signed to tokens."""

from chassis.crashpoints import crashpoint
from chassis.errors import Unauthenticated
from chassis.transactions import Transactions
from services.auth.application.ports import Accounts, UsedNonces, Wallets
from services.auth.application.tokens import TokenMaker, TokenPair
from services.auth.application.wallet_challenges import Proof, VerifyProof, nonce_used
from services.auth.domain.challenges import Purpose

SIGN_IN_CRASHPOINT = "auth.wallet_sign_in.nonce_used"


class SignInWithWallet:
    """Begins a login of the account that has the wallet."""

    def __init__(
        self,
        transactions: Transactions,
        verify: VerifyProof,
        accounts: Accounts,
        wallets: Wallets,
        nonces: UsedNonces,
        tokens: TokenMaker,
    ) -> None:
        self._transactions = transactions
        self._verify = verify
        self._accounts = accounts
        self._wallets = wallets
        self._nonces = nonces
        self._tokens = tokens

    async def __call__(self, message: str, signature: bytes) -> TokenPair:
        """New tokens.

        Raises:
            InvalidArgument, Unauthenticated: as `VerifyProof`; WALLET_NONCE_USED, WALLET_NOT_LINKED.
        """
        proof = await self._verify(Purpose.SIGN_IN, message, signature)
        # A wallet that is not linked is refused after the transaction: its nonce must stay used.
        async with self._transactions.transaction():
            if not await self._nonces.use(proof.nonce_digest, proof.expires_at):
                raise nonce_used()
            crashpoint(SIGN_IN_CRASHPOINT)
            tokens = await self._begin(proof)
        if tokens is None:
            raise Unauthenticated("WALLET_NOT_LINKED", "no account has this wallet; log in and link it first")
        return tokens

    async def _begin(self, proof: Proof) -> TokenPair | None:
        wallet = await self._wallets.by_address(proof.address)
        if wallet is None:
            return None
        account = await self._accounts.get(wallet.user_id, lock=True)
        # Read again under the lock: the account may have unlinked it meanwhile.
        if account is None or await self._wallets.by_address(proof.address) != wallet:
            return None
        return await self._tokens.begin(account, wallet_id=wallet.wallet_id)
