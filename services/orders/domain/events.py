"""Facts about orders that others hear of."""

from dataclasses import dataclass

from chassis.money import Money
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


@dataclass(frozen=True, slots=True)
class Recalled:
    """A recall reached it, and what was to be done for it is done.

    Args:
        lot_ids: the recalled lots that inventory told of it with; of a recall of many lots perhaps not all.
        served: the goods had left the stock when it came.
        refunded: what the guest has back in all; may be nothing.
        unaffected: they left the stock after it had ended, so that there was nothing to do.
    """

    order: Order
    recall_id: str
    lot_ids: tuple[str, ...]
    served: bool
    refunded: Money
    unaffected: bool = False


OrderEvent = Placed | Confirmed | Fulfilled | Failed | Recalled
