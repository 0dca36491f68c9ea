"""The life of an order's payment."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from hashlib import sha256

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument
from chassis.money import Money


class State(StrEnum):
    """Where a payment stands. CAPTURING and VOIDING: the provider is being told, the way is decided."""

    PENDING = "PENDING"
    AUTHORIZED = "AUTHORIZED"
    DECLINED = "DECLINED"
    CAPTURING = "CAPTURING"
    CAPTURED = "CAPTURED"
    VOIDING = "VOIDING"
    VOIDED = "VOIDED"


class Status(StrEnum):
    """What others are told: only what is certain, and with the refunds that were made."""

    PENDING = "PENDING"
    AUTHORIZED = "AUTHORIZED"
    DECLINED = "DECLINED"
    CAPTURED = "CAPTURED"
    VOIDED = "VOIDED"
    PARTIALLY_REFUNDED = "PARTIALLY_REFUNDED"
    REFUNDED = "REFUNDED"


_UNDECIDED = frozenset({State.CAPTURING, State.VOIDING})
TAKEN = frozenset({State.CAPTURING, State.CAPTURED})
GIVEN_UP = frozenset({State.VOIDING, State.VOIDED})


@dataclass(frozen=True, slots=True)
class Payment:
    """The payment of one order.

    Args:
        payment_id: also the key under which the provider knows it.
        amount: None for a payment that was voided before it arrived.
        method: the provider's token of the payer's card or account; empty as soon as the provider has
            answered. It captures, voids and refunds by `payment_id`.
        method_digest: tells whether a repeat names the same method.
        promised_minor: minor units given back or promised back, of `amount`'s currency.
        refunded_minor: those of them that were given back.
    """

    payment_id: str
    order_id: str
    payer_id: str
    amount: Money | None
    method: str
    state: State
    created_at: datetime
    updated_at: datetime
    decline_code: str = ""
    promised_minor: int = 0
    refunded_minor: int = 0
    method_digest: str = ""

    @classmethod
    def intended(
        cls, payment_id: str, order_id: str, payer_id: str, amount: Money, method: str, at: datetime
    ) -> "Payment":
        """One that the provider is still to be asked for."""
        digest = _digest(payment_id, method)
        return cls(
            payment_id, order_id, payer_id, amount, method, State.PENDING, at, at, method_digest=digest
        )

    @property
    def captured(self) -> Money | None:
        """What was taken, if anything."""
        return self.amount if self.state is State.CAPTURED else None

    @property
    def status(self) -> Status:
        """Where it stands for others."""
        if self.state in _UNDECIDED:
            return Status.AUTHORIZED
        if self.captured is None or not self.refunded_minor:
            return Status(self.state.value)
        whole = self.refunded_minor == self.captured.minor
        return Status.REFUNDED if whole else Status.PARTIALLY_REFUNDED

    def ensure_repeats(self, payer_id: str, amount: Money, method: str) -> None:
        """Refuse an authorization that differs from the one recorded for the order.

        Raises:
            FailedPrecondition: PAYMENT_VOIDED.
            AlreadyExists: REQUEST_ID_REUSED.
        """
        if self.state in GIVEN_UP:
            raise FailedPrecondition("PAYMENT_VOIDED", "the payment of this order was voided")
        digest = _digest(self.payment_id, method)
        if (self.payer_id, self.amount, self.method_digest) != (payer_id, amount, digest):
            raise AlreadyExists("REQUEST_ID_REUSED", "the order has another payment already")

    def authorized(self, at: datetime) -> "Payment":
        """The provider reserved the amount."""
        return replace(self, state=State.AUTHORIZED, method="", updated_at=at)

    def declined(self, code: str, at: datetime) -> "Payment":
        """The provider refused."""
        return replace(self, state=State.DECLINED, method="", decline_code=code, updated_at=at)

    def capturing(self, at: datetime) -> "Payment":
        """Decide to take the money; from here no void is possible.

        Raises:
            FailedPrecondition: PAYMENT_VOIDED, or PAYMENT_NOT_AUTHORIZED.
        """
        if self.state in TAKEN:
            return self
        if self.state in GIVEN_UP:
            raise FailedPrecondition("PAYMENT_VOIDED", "the payment of this order was voided")
        if self.state is not State.AUTHORIZED:
            raise FailedPrecondition("PAYMENT_NOT_AUTHORIZED", "the payment of this order is not authorized")
        return replace(self, state=State.CAPTURING, updated_at=at)

    def voiding(self, at: datetime) -> "Payment":
        """Decide to free the money; from here no capture is possible. Of a declined one nothing is held.

        Raises:
            FailedPrecondition: PAYMENT_CAPTURED.
        """
        if self.state in TAKEN:
            raise FailedPrecondition("PAYMENT_CAPTURED", "a captured payment can only be refunded")
        if self.state in GIVEN_UP or self.state is State.DECLINED:
            return self
        return replace(self, state=State.VOIDING, method="", updated_at=at)

    def refunding(self, amount: Money | None, at: datetime) -> tuple["Payment", Money]:
        """Promise money back.

        Args:
            amount: how much; None for all that is left.

        Returns:
            The payment and how much is promised.

        Raises:
            FailedPrecondition: PAYMENT_NOT_CAPTURED, REFUND_EXCEEDS_CAPTURE.
            InvalidArgument: CURRENCY_MISMATCH.
        """
        if self.captured is None:
            raise FailedPrecondition("PAYMENT_NOT_CAPTURED", "only a captured payment can be refunded")
        left = self.captured.minor - self.promised_minor
        wanted = amount or Money(left, self.captured.currency)
        if wanted.currency != self.captured.currency:
            raise InvalidArgument("CURRENCY_MISMATCH", f"the payment was made in {self.captured.currency}")
        if wanted.minor > left or wanted.minor == 0:
            raise FailedPrecondition(
                "REFUND_EXCEEDS_CAPTURE",
                f"{left} minor units are left of what was captured",
                metadata={"left_minor": str(left)},
            )
        promised = replace(self, promised_minor=self.promised_minor + wanted.minor, updated_at=at)
        return promised, wanted

    def refunded(self, amount: Money, at: datetime) -> "Payment":
        """A promise was kept: the provider has given `amount` back."""
        return replace(self, refunded_minor=self.refunded_minor + amount.minor, updated_at=at)


def _digest(payment_id: str, method: str) -> str:
    return sha256(f"{payment_id} {method}".encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Refund:
    """One promise of money back, named by the request that made it.

    Args:
        amount: what is promised.
        asked: what the request named; None for all that was left.
        reason: why, in the words of who asked.
    """

    request_id: str
    order_id: str
    amount: Money
    asked: Money | None
    reason: str
    done: bool = False
