"""Block the stock of a recalled lot."""

from chassis.transactions import Transactions
from services.inventory.application.ports import Events, Stock
from services.inventory.domain.events import Quarantined


class QuarantineLot:
    """Remembers the lot, so that a receipt or a reservation that comes later is refused too."""

    def __init__(self, transactions: Transactions, stock: Stock, events: Events) -> None:
        self._transactions = transactions
        self._stock = stock
        self._events = events

    async def __call__(self, lot_id: str, reason: str) -> None:
        """Block what there is of the lot, once."""
        async with self._transactions.transaction():
            await self._stock.lock_lot(lot_id)
            blocked = await self._stock.quarantine(lot_id, reason)
            await self._events.publish([Quarantined(item) for item in blocked])
