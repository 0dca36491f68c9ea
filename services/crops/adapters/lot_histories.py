"""Lots' recorded histories, read from the event store."""

from collections.abc import Sequence

from chassis.eventstore import EventStore
from services.crops.adapters.events import decode, stream_of
from services.crops.application.epcis_ports import LotFact


class StoredLotHistories:
    """Implements `LotHistories`."""

    def __init__(self, store: EventStore) -> None:
        self._store = store

    async def history(self, lot_id: str) -> Sequence[LotFact]:
        recorded = await self._store.read_stream(stream_of(lot_id))
        return [LotFact(each.event_id, each.recorded_at, decode(each)) for each in recorded]
