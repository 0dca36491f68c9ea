"""What becomes of a lot elsewhere blocks its listings, or opens them again."""

from datetime import datetime

from chassis.clock import Clock
from chassis.transactions import Transactions
from services.market.application.ports import Events, Listings, Standings
from services.market.domain.events import ListingChanged
from services.market.domain.listing import Block


class FollowLots:
    """Hears of recalls and holds, in any order and also of lots that are not listed yet.

    Crops has the last word: it delivers nothing of a lot that is recalled or held, whatever is known here.
    """

    def __init__(
        self,
        transactions: Transactions,
        listings: Listings,
        standings: Standings,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._listings = listings
        self._standings = standings
        self._events = events
        self._clock = clock

    async def recalled(self, lot_id: str, recall_id: str, *, released: bool) -> None:
        """A recall, or its end."""
        async with self._transactions.transaction():
            await self._apply(lot_id, await self._standings.recalled(lot_id, recall_id, released=released))

    async def held(self, lot_id: str, *, held: bool, at: datetime) -> None:
        """A hold, or its end."""
        async with self._transactions.transaction():
            await self._apply(lot_id, await self._standings.held(lot_id, held=held, at=at))

    async def _apply(self, lot_id: str, block: Block) -> None:
        now = self._clock.now()
        for listing in await self._listings.of_lot(lot_id):
            changed = listing.blocked(block, now)
            if changed is not listing:
                await self._listings.save(changed)
                await self._events.publish([ListingChanged(changed.as_of(now))])
