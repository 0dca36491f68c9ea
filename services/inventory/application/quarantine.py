"""Block the stock of recalled and held lots, and set it free when that has ended."""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.transactions import Transactions
from services.inventory.application.ports import Events, Reservations, Stock
from services.inventory.domain.events import OrderAffected, Quarantined, QuarantineLifted
from services.inventory.domain.stock import StockItem


@dataclass(frozen=True, slots=True)
class Blocked:
    """The stock of lots that the recall had not blocked before, and the orders that are told of now."""

    items: Sequence[StockItem]
    orders: Sequence[OrderAffected]


class QuarantineLots:
    """What has left the stock stays gone; what is reserved can be released but not consumed."""

    def __init__(
        self, transactions: Transactions, stock: Stock, reservations: Reservations, events: Events
    ) -> None:
        self._transactions = transactions
        self._stock = stock
        self._reservations = reservations
        self._events = events

    async def __call__(self, recall_id: str, lot_ids: Sequence[str], reason: str) -> Blocked:
        """Block the lots, known here or not, and tell of their stock and of each order served from it.

        Once for each recall and lot. A recall that has ended for a lot, perhaps before it came here, blocks
        it no more.
        """
        async with self._transactions.transaction():
            # Who consumes or reserves locks the stock too: it is done and seen here, or it sees the block.
            await self._stock.lock_lots(lot_ids)
            items = await self._stock.block(recall_id, lot_ids, reason)
            orders = await self._reservations.affected(recall_id, [item.stock_item_id for item in items])
            await self._events.publish([*(Quarantined(item, recall_id) for item in items), *orders])
        return Blocked(items, orders)


class LiftQuarantine:
    """Sets stock free when the last recall of its lot has ended."""

    def __init__(self, transactions: Transactions, stock: Stock, events: Events) -> None:
        self._transactions = transactions
        self._stock = stock
        self._events = events

    async def __call__(self, recall_id: str, lot_id: str) -> Sequence[StockItem]:
        """The stock that is free by it; where the recall has not come yet a tombstone is left."""
        async with self._transactions.transaction():
            await self._stock.lock_lots([lot_id])
            items = await self._stock.lift(recall_id, lot_id)
            await self._events.publish([QuarantineLifted(item, recall_id) for item in items])
        return items


class HoldStock:
    """Keeps stock of a held lot from being used, and sets it free afterwards."""

    def __init__(self, transactions: Transactions, stock: Stock) -> None:
        self._transactions = transactions
        self._stock = stock

    async def __call__(self, lot_id: str, *, ended: bool) -> None:
        """Holds of a lot begin and end in turn: while more have begun it is held, in any order."""
        async with self._transactions.transaction():
            await self._stock.lock_lots([lot_id])
            await self._stock.hold(lot_id, ended=ended)
