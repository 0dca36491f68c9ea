"""Facts about payments that others hear of."""

from dataclasses import dataclass

from chassis.money import Money
from services.payments.domain.payment import Payment


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The amount was captured."""

    payment: Payment


@dataclass(frozen=True, slots=True)
class Declined:
    """The provider refused."""

    payment: Payment


@dataclass(frozen=True, slots=True)
class Voided:
    """The authorization was freed."""

    payment: Payment


@dataclass(frozen=True, slots=True)
class Refunded:
    """Money was given back: `amount` now, `total` with all earlier ones; `reason` as who asked put it."""

    payment: Payment
    amount: Money
    total: Money
    reason: str


PaymentEvent = Succeeded | Declined | Voided | Refunded
