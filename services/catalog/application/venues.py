"""Opening and reading venues."""

from collections.abc import Sequence

from chassis.clock import Clock
from chassis.errors import NotFound
from chassis.ids import IdSource
from chassis.transactions import Transactions
from services.catalog.application.ports import Events, Venues
from services.catalog.domain.venue import Address, Venue


class CreateVenue:
    """Opens a venue for its owner."""

    def __init__(
        self, transactions: Transactions, venues: Venues, events: Events, clock: Clock, ids: IdSource
    ) -> None:
        self._transactions = transactions
        self._venues = venues
        self._events = events
        self._clock = clock
        self._ids = ids

    async def __call__(self, owner_id: str, name: str, address: Address) -> Venue:
        """Store it and tell others."""
        venue = Venue(self._ids.uuid7(), owner_id, name, address, self._clock.now())
        async with self._transactions.transaction():
            await self._venues.add(venue)
            await self._events.venue_created(venue)
        return venue


class VenueQueries:
    """Reads venues; anyone may."""

    def __init__(self, venues: Venues) -> None:
        self._venues = venues

    async def get(self, venue_id: str) -> Venue:
        """One venue.

        Raises:
            NotFound: VENUE_NOT_FOUND.
        """
        venue = await self._venues.get(venue_id)
        if venue is None:
            raise NotFound("VENUE_NOT_FOUND", "there is no such venue", resource=("venue", venue_id))
        return venue

    async def page(self, owner_id: str | None, after: str | None, limit: int) -> Sequence[Venue]:
        """Venues after an id, oldest first, at most `limit`."""
        return await self._venues.page(owner_id, after, limit)
