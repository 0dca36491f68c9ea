"""Compares snapshots with what their events give: a snapshot is no leaf of the log, and yet is believed."""

import json
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from chassis.database import Database
from chassis.eventstore import Aggregate, EventStore, RecordedEvent
from chassis.eventstore.codec import decode

A = TypeVar("A")
E = TypeVar("E")

_PAGE = """
SELECT stream_id, version, state FROM snapshot WHERE stream_id > $1 AND schema_version = $2
ORDER BY stream_id LIMIT $3
"""


@dataclass(frozen=True, slots=True)
class ForgedSnapshot:
    """A snapshot that is not what its events give.

    Args:
        stream_id, version: of the snapshot.
        event_id: of the last event that it takes in; "" when the stream has none.
        detail: a sentence.
    """

    stream_id: str
    version: int
    event_id: str
    detail: str


class SnapshotAudit(Generic[A, E]):
    """Replays every stream that has a snapshot of today's shape; others are never believed.

    Args:
        database: the event store's.
        store: the events.
        aggregate: how they are folded, with a codec of snapshots.
        batch: snapshots in one read; default 50.
    """

    def __init__(
        self, database: Database, store: EventStore, aggregate: Aggregate[A, E], batch: int = 50
    ) -> None:
        if aggregate.snapshots is None:
            raise ValueError(f"{aggregate.kind} has no snapshots")
        self._database = database
        self._store = store
        self._aggregate = aggregate
        self._codec = aggregate.snapshots
        self._batch = batch

    async def run(self) -> AsyncGenerator[ForgedSnapshot, None]:
        """Those that are forged, by stream."""
        after = ""
        while True:
            rows = await self._database.fetch(_PAGE, after, self._codec.schema_version, self._batch)
            if not rows:
                return
            for row in rows:
                forged = await self._judged(row["stream_id"], row["version"], decode(row["state"]))
                if forged is not None:
                    yield forged
            after = rows[-1]["stream_id"]

    async def _judged(self, stream_id: str, version: int, state: dict[str, Any]) -> ForgedSnapshot | None:
        events = await self._store.read_stream(stream_id, limit=max(version, 1))
        last = events[-1].event_id if events else ""
        found = f"the snapshot of {stream_id} at version {version}"
        if not events or len(events) != version:
            return ForgedSnapshot(stream_id, version, last, f"{found} is not of its {len(events)} events")
        try:
            differing = sorted(_differing(state, self._replayed(stream_id, events)))
        except Exception as error:
            detail = f"{found} cannot be compared, its events give {type(error).__name__}"
            return ForgedSnapshot(stream_id, version, last, detail)
        if not differing:
            return None
        detail = f"{found} says something else than its events about {', '.join(differing)}"
        return ForgedSnapshot(stream_id, version, last, detail)

    def _replayed(self, stream_id: str, events: list[RecordedEvent]) -> dict[str, Any]:
        state = self._aggregate.initial(stream_id.removeprefix(f"{self._aggregate.kind}-"))
        for event in events:
            state = self._aggregate.evolve(state, self._aggregate.decode(event))
        replayed: dict[str, Any] = json.loads(json.dumps(self._codec.encode(state)))
        return replayed


def _differing(one: dict[str, Any], other: dict[str, Any]) -> set[str]:
    return {
        name
        for name in one.keys() | other.keys()
        if name not in one or name not in other or one[name] != other[name]
    }
