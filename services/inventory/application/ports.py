"""What the use cases need of the outside world."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from chassis.saga import Refusal
from services.inventory.domain.events import OrderAffected, StockEvent
from services.inventory.domain.receipt import Goods, Receipt
from services.inventory.domain.reservation import Reservation
from services.inventory.domain.stock import Block, Need, StockItem


class Stock(Protocol):
    """Stock items and what is known of lots."""

    async def add(self, item: StockItem) -> None: ...

    async def get(self, stock_item_id: str) -> StockItem | None: ...

    async def page(
        self,
        venue_id: str,
        product_code: str | None,
        lot_id: str | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[StockItem]:
        """Items after (expiry, id), in the order of use."""
        ...

    async def lock_for(self, venue_id: str, needs: Sequence[Need]) -> Sequence[StockItem]:
        """The venue's stock that could serve the needs, locked until the transaction ends."""
        ...

    async def block(self, recall_id: str, lot_ids: Sequence[str], reason: str) -> Sequence[StockItem]:
        """Block lots for a recall, for ever or until it is lifted, and lock their stock.

        Returns:
            The stock of those lots that this recall had neither blocked nor lifted before.
        """
        ...

    async def lift(self, recall_id: str, lot_id: str) -> Sequence[StockItem]:
        """Note that a recall has ended for a lot; gives the stock that no recall blocks any more."""
        ...

    async def hold(self, lot_id: str, *, ended: bool) -> None:
        """Note that a hold of a lot has begun or ended, whichever is heard of first, and mark its stock."""
        ...

    async def block_of(self, lot_id: str) -> Block | None:
        """Whether the lot is recalled or held back."""
        ...

    async def lock_lots(self, lot_ids: Sequence[str]) -> None:
        """Keep receipts and recalls of lots apart until the transaction ends."""
        ...


class Reservations(Protocol):
    """Reservations by order."""

    async def add(self, reservation: Reservation) -> bool:
        """Store a new one and bind its stock; False when the order has one already."""
        ...

    async def get(self, order_id: str, *, lock: bool = False) -> Reservation | None: ...

    async def lock_stock(self, reservation: Reservation) -> Block | None:
        """Lock the stock that it binds; gives the strongest reason why some of it must not be used."""
        ...

    async def confirm(self, reservation: Reservation) -> None:
        """Store that it is confirmed."""
        ...

    async def unbind(self, reservation: Reservation) -> None:
        """Store that it was given back or ran out, and free its stock."""
        ...

    async def consume(self, reservation: Reservation) -> None:
        """Store that it was consumed, and take its stock away, which `lock_stock` has locked."""
        ...

    async def lock_expired(self, at: datetime) -> Reservation | None:
        """The held one that ran out first, locked; those that another transaction holds are left out."""
        ...

    async def affected(self, recall_id: str, stock_item_ids: Sequence[str]) -> Sequence[OrderAffected]:
        """Orders that hold or have consumed some of this stock, which is locked; each once for a recall."""
        ...


class Crops(Protocol):
    """The crops service."""

    async def commit(self, commitment_id: str, receipt: Receipt) -> Goods:
        """Set the goods of a receipt aside, once however often it is asked to with that id.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: LOT_RECALLED, LOT_EXPIRED, QUANTITY_EXCEEDED, TRANSFER_UNDER_WAY;
                COMMITMENT_RELEASED, it was taken back.
            InvalidArgument: QUANTITY_ZERO, UNIT_MISMATCH.
        """
        ...

    async def release(self, request_id: str, lot_id: str, commitment_id: str) -> None:
        """Take a commitment back, also one that has not arrived yet, which is then refused.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        ...


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a receipt stands: refused, or stored as `stock_item_id`, or neither yet."""

    receipt: Receipt
    stock_item_id: str
    stored: bool = False
    refusal: Refusal | None = None


class Receipts(Protocol):
    """Runs the receipt saga."""

    async def find(self, receipt_id: str) -> Progress | None: ...

    async def start(self, receipt_id: str, receipt: Receipt, stock_item_id: str) -> Progress:
        """Start one, or find the one with that id; compare `receipt` to see which."""
        ...

    async def outcome(self, receipt_id: str, within: timedelta) -> Progress:
        """Wait until it is stored or refused; it is neither when that takes longer."""
        ...


class Catalog(Protocol):
    """The catalog service."""

    async def venue_owner(self, venue_id: str) -> str:
        """Who owns a venue.

        Raises:
            NotFound: VENUE_NOT_FOUND.
        """
        ...


class Events(Protocol):
    """Tells others, in the running transaction."""

    async def publish(self, events: Sequence[StockEvent]) -> None: ...
