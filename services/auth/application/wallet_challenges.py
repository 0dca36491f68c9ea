"""Challenges for wallets, and the proof that one was signed."""

from dataclasses import dataclass
from datetime import datetime

from chassis.clock import Clock
from chassis.errors import Unauthenticated
from services.auth.application.ports import OpaqueTokens, SignerRecovery
from services.auth.domain.challenges import RANDOM_BYTES, Challenge, Nonces, Purpose, Terms
from services.auth.domain.ethereum import signature_invalid, standard_signature, wallet_address
from services.auth.domain.instants import rendered
from services.auth.domain.logins import digest
from services.auth.domain.siwe import SiweMessage, parse, render
from services.auth.domain.uris import parse_uri
from services.auth.domain.wallets import WalletRules, message_expired, statement


class IssueChallenge:
    """Writes the message that a wallet has to sign; stores nothing."""

    def __init__(self, rules: WalletRules, nonces: Nonces, secrets: OpaqueTokens, clock: Clock) -> None:
        self._rules = rules
        self._nonces = nonces
        self._secrets = secrets
        self._clock = clock

    def __call__(
        self, purpose: Purpose, address: str, *, user_id: str = "", origin: str = "", chain_id: int = 0
    ) -> Challenge:
        """A challenge.

        Args:
            address: of the wallet, in EIP-55 capitals or in one case.
            user_id: account that will link it; default none, for a sign-in.
            origin, chain_id: default the fleet's first.

        Raises:
            InvalidArgument: WALLET_ADDRESS_INVALID, WALLET_ORIGIN_NOT_ALLOWED, WALLET_CHAIN_NOT_ALLOWED.
        """
        terms = Terms(purpose, wallet_address(address), user_id)
        origin, chain_id = self._rules.origin(origin), self._rules.chain(chain_id)
        now = self._clock.now().replace(microsecond=0)
        expires_at = now + self._rules.life
        nonce = self._nonces.make(terms, expires_at, digest(self._secrets.new())[:RANDOM_BYTES])
        uri = parse_uri(origin)
        message = SiweMessage(
            domain=(uri and uri.authority) or "",
            address=terms.address,
            statement=statement(terms),
            uri=origin,
            chain_id=chain_id,
            nonce=nonce,
            issued_at=rendered(now),
            expiration_time=rendered(expires_at),
        )
        return Challenge(nonce, render(message), expires_at)


@dataclass(frozen=True, slots=True)
class Proof:
    """That somebody controls an address; it counts once its nonce has been used.

    Args:
        nonce_digest: of the nonce.
        expires_at: of the nonce.
    """

    address: str
    chain_id: int
    nonce_digest: bytes
    expires_at: datetime


class VerifyProof:
    """Judges a signed message: what costs nothing first, the signature last."""

    def __init__(self, rules: WalletRules, nonces: Nonces, recovery: SignerRecovery, clock: Clock) -> None:
        self._rules = rules
        self._nonces = nonces
        self._recovery = recovery
        self._clock = clock

    async def __call__(self, purpose: Purpose, text: str, signature: bytes, *, user_id: str = "") -> Proof:
        """The proof.

        Args:
            text: the message, exactly as it was signed.
            user_id: account that links the wallet; default none, for a sign-in.

        Raises:
            InvalidArgument: WALLET_MESSAGE_MALFORMED, WALLET_ORIGIN_NOT_ALLOWED, WALLET_CHAIN_NOT_ALLOWED,
                WALLET_STATEMENT_MISMATCH.
            Unauthenticated: WALLET_NONCE_INVALID, WALLET_MESSAGE_EXPIRED, WALLET_MESSAGE_NOT_YET_VALID,
                WALLET_SIGNATURE_INVALID.
        """
        message = parse(text)
        now = self._clock.now()
        terms = Terms(purpose, message.address, user_id)
        expires_at = self._nonces.expiry(message.nonce, terms)
        if expires_at is None:
            raise Unauthenticated(
                "WALLET_NONCE_INVALID", "no such challenge was made for this address, purpose and account"
            )
        if now >= expires_at:
            raise message_expired("belongs to a challenge that has expired")
        self._rules.require_accepted(message, terms, now)
        await require_signed(self._recovery, text, signature, message.address)
        return Proof(message.address, message.chain_id, digest(message.nonce), expires_at)


async def require_signed(recovery: SignerRecovery, text: str, signature: bytes, address: str) -> None:
    """Refuse a signature over a text that is not by the key of an address.

    Raises:
        Unauthenticated: WALLET_SIGNATURE_INVALID.
    """
    if await recovery.signer(text, standard_signature(signature)) != address:
        raise signature_invalid("was not made over this text by the key of the address")


def nonce_used() -> Unauthenticated:
    """Of several uses of a challenge one counts."""
    return Unauthenticated("WALLET_NONCE_USED", "the challenge was used before; ask for another one")
