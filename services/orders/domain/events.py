"""Facts about orders that others hear of."""

from dataclasses import dataclass

from services.orders.domain.order import Order


@dataclass(frozen=True, slots=True)
class Placed:
    """The checkout begins."""

    order: Order


@dataclass(frozen=True, slots=True)
class Confirmed:
    """Stock is reserved and the payment authorized."""

    order: Order


@dataclass(frozen=True, slots=True)
class Fulfilled:
    """Paid, and the goods have left the stock."""

    order: Order


@dataclass(frozen=True, slots=True)
class Failed:
    """It came to nothing."""

    order: Order


OrderEvent = Placed | Confirmed | Fulfilled | Failed
