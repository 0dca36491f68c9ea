"""Take items off a venue's menu while what they are made of is in quarantine."""

from datetime import datetime

from chassis.clock import Clock
from chassis.transactions import Transactions
from services.catalog.application.ports import Events, MenuItems, Quarantines, Venues
from services.catalog.domain.menu_item import MenuItem
from services.catalog.domain.recall import QuarantinedStock


class FollowQuarantine:
    """Each recall takes an item off once; what the venue decides afterwards stands."""

    def __init__(
        self,
        transactions: Transactions,
        venues: Venues,
        items: MenuItems,
        quarantines: Quarantines,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._venues = venues
        self._items = items
        self._quarantines = quarantines
        self._events = events
        self._clock = clock

    async def begun(self, stock: QuarantinedStock, recall_id: str, at: datetime) -> None:
        """Take off what the stock concerns, unless the quarantine is known to have been lifted after `at`."""
        async with self._transactions.transaction():
            await self._venues.lock(stock.venue_id)
            if not await self._quarantines.begin(stock, at):
                return
            for item in await self._items.of_venue(stock.venue_id):
                if stock.concerns(item):
                    await self._take_off(item, stock, recall_id)

    async def lifted(self, stock_item_id: str, venue_id: str, at: datetime) -> None:
        """Put back what nothing in quarantine concerns any more, if only recalls had taken it off."""
        async with self._transactions.transaction():
            await self._venues.lock(venue_id)
            await self._quarantines.lift(stock_item_id, venue_id, at)
            left = await self._quarantines.of_venue(venue_id)
            for item in await self._items.of_venue(venue_id):
                if item.recall_ids and not any(stock.concerns(item) for stock in left):
                    await self._store(item.put_back(self._clock.now()))

    async def _take_off(self, item: MenuItem, stock: QuarantinedStock, recall_id: str) -> None:
        first = await self._quarantines.taken_off(recall_id, item.menu_item_id)
        named = any(ingredient.lot_id == stock.lot_id for ingredient in item.ingredients)
        # What names the lot is off in any case; what names the product the venue may have put back.
        if first or named:
            changed = item.taken_off(recall_id, self._clock.now())
            if changed is not item:
                await self._store(changed)
        if first:
            await self._events.menu_item_delisted(item, recall_id, stock.lot_id)

    async def _store(self, item: MenuItem) -> None:
        await self._items.save(item)
        await self._events.menu_item_changed(item)
