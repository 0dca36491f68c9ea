"""The market's sagas on the chassis' engine."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid5

from chassis.database import Database
from chassis.errors import DeadlineExceeded, NotFound
from chassis.saga import Instance, Refusal, SagaEngine, State
from services.market.application import purchase_saga
from services.market.application.listing_sagas import LIST, RELEASE, ListingData, released
from services.market.application.ports import Progress
from services.market.domain.listing import Listing, Offer

_RELEASES = UUID("a3d38c34-54d8-5cd0-8a4a-4e7f9a4d8b11")


class EngineListings:
    """Implements `ListingSagas`."""

    def __init__(self, database: Database, engine: SagaEngine) -> None:
        self._database = database
        self._engine = engine

    async def find(self, saga_id: str) -> Progress | None:
        try:
            return _progress(await self._engine.operator.get(saga_id))
        except NotFound:
            return None

    async def start(self, saga_id: str, offer: Offer, listing_id: str) -> Progress:
        data = ListingData(offer, listing_id).to_json()
        async with self._database.transaction() as tx:
            return _progress(await self._engine.start(tx, LIST, saga_id, data))

    async def outcome(self, saga_id: str, within: timedelta) -> Progress:
        try:
            return _progress(await self._engine.outcome(saga_id, within))
        except DeadlineExceeded:
            return _progress(await self._engine.operator.get(saga_id))

    async def release(self, listing: Listing) -> None:
        # Its own id, though there is one of a listing: ids of sagas are one space.
        saga_id = str(uuid5(_RELEASES, listing.listing_id))
        async with self._database.transaction() as tx:
            await self._engine.start(tx, RELEASE, saga_id, released(listing))


class EnginePurchases:
    """Implements `PurchaseSagas`."""

    def __init__(self, database: Database, engine: SagaEngine) -> None:
        self._database = database
        self._engine = engine

    async def start(self, purchase_id: str, data: Mapping[str, Any]) -> None:
        async with self._database.transaction() as tx:
            await self._engine.start(tx, purchase_saga.NAME, purchase_id, data)

    async def ended(self, purchase_id: str, within: timedelta) -> bool:
        try:
            await self._engine.outcome(purchase_id, within)
        except DeadlineExceeded:
            return False
        return True


def _progress(instance: Instance) -> Progress:
    data = ListingData.from_json(instance.data)
    return Progress(data.offer, data.listing_id, instance.state is State.COMPLETED, Refusal.of(instance))
