"""Take a lot, or part of it, into a venue's stock."""

from dataclasses import replace
from decimal import Decimal

from chassis.clock import Clock
from chassis.ids import IdSource
from chassis.quantity import Quantity
from chassis.transactions import Transactions
from services.inventory.application.ports import Catalog, Crops, Events, Stock
from services.inventory.domain.events import Received
from services.inventory.domain.receipt import ensure_receivable
from services.inventory.domain.stock import StockItem


class ReceiveStock:
    """A receipt is a stock item of its own, even of a lot that is there already."""

    def __init__(
        self,
        transactions: Transactions,
        stock: Stock,
        crops: Crops,
        catalog: Catalog,
        events: Events,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._stock = stock
        self._crops = crops
        self._catalog = catalog
        self._events = events
        self._clock = clock
        self._ids = ids

    async def __call__(self, actor: str, venue_id: str, lot_id: str, quantity: Quantity) -> StockItem:
        """Receive a quantity of a lot; it is kept in the unit of the lot.

        Raises:
            NotFound: VENUE_NOT_FOUND, LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: LOT_RECALLED, LOT_EXPIRED, QUANTITY_EXCEEDED.
            InvalidArgument: QUANTITY_ZERO, UNIT_MISMATCH.
        """
        owner = await self._catalog.venue_owner(venue_id)
        lot = await self._crops.lot(lot_id)
        now = self._clock.now()
        async with self._transactions.transaction():
            await self._stock.lock_lot(lot_id)
            before = await self._stock.received(lot_id, lot.quantity.unit)
            # What crops said may be older than a recall that has reached us by its event.
            lot = replace(lot, recalled=lot.recalled or await self._stock.is_quarantined(lot_id))
            # Kept in the lot's own unit: what is counted here and what is in stock are then the same
            # number, and no rounding lets a lot be received twice.
            quantity = quantity.to(lot.quantity.unit)
            ensure_receivable(lot, quantity, before, actor=actor, venue_owner=owner, at=now)
            item = StockItem(
                stock_item_id=self._ids.uuid7(),
                venue_id=venue_id,
                lot_id=lot_id,
                product_code=lot.product_code,
                on_hand=quantity,
                reserved=Quantity(Decimal(0), quantity.unit),
                expires_at=lot.expires_at,
                received_at=now,
            )
            await self._stock.add(item)
            await self._stock.count_received(lot_id, quantity)
            await self._events.publish([Received(item)])
        return item
