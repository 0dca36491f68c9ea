"""Linked wallets, and what a message must say before its signature counts."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from chassis.errors import FailedPrecondition, InvalidArgument, Unauthenticated, Violation
from services.auth.domain.account import Account
from services.auth.domain.challenges import Purpose, Terms
from services.auth.domain.siwe import SiweMessage, instant
from services.auth.domain.uris import parse_uri

MOST_WALLETS: Final = 10
"""Of one account."""


@dataclass(frozen=True, slots=True)
class Wallet:
    """A wallet of an account.

    Args:
        address: in EIP-55 capitals.
        chain_id: of the message by which it was linked.
    """

    wallet_id: str
    user_id: str
    address: str
    chain_id: int
    linked_at: datetime


@dataclass(frozen=True, slots=True)
class WalletRules:
    """What this fleet accepts.

    Args:
        origins: `scheme://authority` of the places that may ask for a signature, in lower case; the first
            is the default of a challenge.
        chains: EIP-155 chain ids; the first is the default of a challenge.
        life: of a challenge; default 5 minutes. A message issued longer ago is refused too.
        skew: how far the clock that dated a message may be ahead of ours or behind; default 1 minute.
    """

    origins: tuple[str, ...]
    chains: tuple[int, ...]
    life: timedelta = timedelta(minutes=5)
    skew: timedelta = timedelta(minutes=1)

    def origin(self, wanted: str) -> str:
        """The origin of a challenge; empty asks for the default.

        Raises:
            InvalidArgument: WALLET_ORIGIN_NOT_ALLOWED.
        """
        chosen = wanted.lower() or self.origins[0]
        if chosen not in self.origins:
            raise _origin_not_allowed("origin")
        return chosen

    def chain(self, wanted: int) -> int:
        """The chain of a challenge; 0 asks for the default.

        Raises:
            InvalidArgument: WALLET_CHAIN_NOT_ALLOWED.
        """
        chosen = wanted or self.chains[0]
        if chosen not in self.chains:
            raise _chain_not_allowed("chain_id")
        return chosen

    def require_accepted(self, message: SiweMessage, terms: Terms, now: datetime) -> None:
        """Refuse a message that is not for us, not for this use, or not for now.

        Raises:
            InvalidArgument: WALLET_ORIGIN_NOT_ALLOWED, WALLET_CHAIN_NOT_ALLOWED, WALLET_STATEMENT_MISMATCH.
            Unauthenticated: WALLET_MESSAGE_EXPIRED, WALLET_MESSAGE_NOT_YET_VALID.
        """
        self._require_origin(message)
        if message.chain_id not in self.chains:
            raise _chain_not_allowed("message")
        if message.statement != statement(terms):
            raise InvalidArgument(
                "WALLET_STATEMENT_MISMATCH",
                "the message does not state what it is used for; sign the one of the challenge",
                violations=(Violation("message", "has another statement than its challenge"),),
            )
        require_in_time(message, now, self.skew)
        issued = instant(message.issued_at)
        if issued > now + self.skew:
            raise _not_yet_valid("was issued in the future")
        if issued < now - self.life - self.skew:
            raise message_expired("was issued too long ago")

    def _require_origin(self, message: SiweMessage) -> None:
        uri = parse_uri(message.uri)
        if uri is None or uri.origin not in self.origins:
            raise _origin_not_allowed("message")
        scheme = uri.scheme if message.scheme is None else message.scheme
        if f"{scheme}://{message.domain}".lower() != uri.origin:
            raise _origin_not_allowed("message")


def statement(terms: Terms) -> str:
    """What the person reads above the signature."""
    if terms.purpose is Purpose.LINK:
        return f"Link this wallet to the GreenLedger account {terms.user_id}."
    return "Sign in to GreenLedger."


def require_in_time(message: SiweMessage, now: datetime, skew: timedelta) -> None:
    """Refuse a message outside its own times. No skew prolongs its life.

    Raises:
        Unauthenticated: WALLET_MESSAGE_EXPIRED, WALLET_MESSAGE_NOT_YET_VALID.
    """
    if message.expiration_time is not None and now >= instant(message.expiration_time):
        raise message_expired("has expired")
    if message.not_before is not None and now < instant(message.not_before) - skew:
        raise _not_yet_valid("is not valid yet")


def require_other_means(account: Account, wallets_left: int) -> None:
    """Refuse to take the last means of signing in from an account.

    Raises:
        FailedPrecondition: LAST_SIGN_IN_MEANS.
    """
    if not account.password_hash and not wallets_left:
        raise FailedPrecondition(
            "LAST_SIGN_IN_MEANS", "the account has no password and no other wallet to sign in with"
        )


def message_expired(fault: str) -> Unauthenticated:
    """The time of a message or its challenge is over."""
    return Unauthenticated("WALLET_MESSAGE_EXPIRED", f"the message {fault}; ask for another challenge")


def _not_yet_valid(fault: str) -> Unauthenticated:
    return Unauthenticated("WALLET_MESSAGE_NOT_YET_VALID", f"the message {fault}")


def _origin_not_allowed(field: str) -> InvalidArgument:
    return InvalidArgument(
        "WALLET_ORIGIN_NOT_ALLOWED",
        "domain, scheme and URI must be those of one origin that this fleet allows",
        violations=(Violation(field, "does not name an origin that is allowed"),),
    )


def _chain_not_allowed(field: str) -> InvalidArgument:
    return InvalidArgument(
        "WALLET_CHAIN_NOT_ALLOWED",
        "the chain is not one that this fleet allows",
        violations=(Violation(field, "names another chain than those allowed"),),
    )
