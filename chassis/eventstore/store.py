"""Append-only streams of events with optimistic concurrency and one order over all."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, ParamSpec, Protocol

import asyncpg

from chassis import context
from chassis.clock import Clock
from chassis.crashpoints import crashpoint
from chassis.database import Database, Transaction
from chassis.errors import InvalidArgument
from chassis.eventstore.codec import context_meta, decode, encode
from chassis.eventstore.events import (
    ConcurrencyError,
    EventPage,
    NewEvent,
    RecordedEvent,
    Snapshot,
    StreamAppend,
)
from chassis.eventstore.schema import EVENT_LOG
from chassis.eventstore.upcasting import Upcasters
from chassis.ids import IdSource
from chassis.wakeup import Wakeup

P = ParamSpec("P")

_APPEND = "SELECT event_append($1, $2, $3, $4, $5, $6, $7, $8)"
_APPEND_BATCH = "SELECT event_append_batch($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
_COLUMNS = "position, stream_id, version, type, schema_version, data, meta, event_id, recorded_at"
_READ_STREAM = f"SELECT {_COLUMNS} FROM event WHERE stream_id = $1 AND version > $2 ORDER BY version LIMIT $3"
_READ_ALL = f"""
SELECT {_COLUMNS} FROM event WHERE position > $1 AND position <= $2 ORDER BY position LIMIT $3
"""
_LOAD = f"""
WITH latest AS (
    SELECT version, schema_version, state, taken_at FROM snapshot WHERE stream_id = $1 AND schema_version = $2
)
SELECT 0::bigint AS position, $1 AS stream_id, version, NULL AS type, schema_version, state AS data,
       NULL::jsonb AS meta, NULL::uuid AS event_id, taken_at AS recorded_at
FROM latest
UNION ALL
SELECT {_COLUMNS} FROM event
WHERE stream_id = $1 AND version > coalesce((SELECT version FROM latest), 0)
ORDER BY position
"""
_SAVE_SNAPSHOT = """
INSERT INTO snapshot (stream_id, version, schema_version, state, taken_at) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (stream_id) DO UPDATE
SET version = excluded.version, schema_version = excluded.schema_version, state = excluded.state,
    taken_at = excluded.taken_at
WHERE (snapshot.schema_version, snapshot.version) < (excluded.schema_version, excluded.version)
"""


class EventLog(Protocol):
    """A tamper-evident log of what is appended; `chassis.merklelog.store.MerkleLog` is one."""

    def record(self, tx: Transaction, events: Sequence[RecordedEvent]) -> None:
        """Append the events, with their positions, when the transaction commits."""
        ...


class EventStore:
    """The events of one service; every call joins the ambient transaction when there is one.

    Args:
        database: with the tables of `chassis.eventstore.schema`.
        clock: stamps `recorded_at`.
        ids: makes event ids.
        upcasters: steps for old events; default none.
        log: gets every event too, in the event's transaction; default none.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        ids: IdSource,
        upcasters: Upcasters | None = None,
        log: EventLog | None = None,
    ) -> None:
        self._database = database
        self._clock = clock
        self._ids = ids
        self._upcasters = upcasters or Upcasters()
        self._log = log
        self._listeners: list[Wakeup] = []

    async def append(
        self, stream_id: str, expected_version: int, events: Sequence[NewEvent]
    ) -> list[RecordedEvent]:
        """Add events to a stream, all or none, in one statement (with a log: in one transaction).

        Args:
            stream_id: the stream; it exists from its first event on.
            expected_version: version of the stream that the decision was based on; 0 for a new one.
            events: one or more; none is a no-op.

        Raises:
            ConcurrencyError: the stream is at another version.
            InvalidArgument: text that PostgreSQL cannot store (NUL).
        """
        return await self._logged(self._append, stream_id, expected_version, events)

    async def _append(
        self, stream_id: str, expected_version: int, events: Sequence[NewEvent]
    ) -> list[RecordedEvent]:
        if len(events) != 1:
            return await self._append_many([StreamAppend(stream_id, expected_version, tuple(events))])
        now = self._clock.now()
        [recorded] = self._stamp([StreamAppend(stream_id, expected_version, tuple(events))], now)
        try:
            position = await self._database.fetchval(
                _APPEND,
                stream_id,
                expected_version,
                recorded.type,
                recorded.schema_version,
                encode(recorded.data),
                encode(recorded.meta),
                recorded.event_id,
                now,
            )
        except asyncpg.PostgresError as error:
            raise _explain(error, stream_id, expected_version) from error
        return self._appended([recorded], [position])

    async def append_many(self, appends: Sequence[StreamAppend]) -> list[RecordedEvent]:
        """Add events to many streams, all or none, in one statement; for bulk capture.

        Args:
            appends: each stream at most once; empty ones are ignored.

        Raises:
            ConcurrencyError: some stream is at another version; it is named when there is only one.
        """
        return await self._logged(self._append_many, appends)

    async def _append_many(self, appends: Sequence[StreamAppend]) -> list[RecordedEvent]:
        now = self._clock.now()
        rows = self._stamp(appends, now)
        if not rows:
            return []
        heads = [append for append in appends if append.expected_version and append.events]
        try:
            positions = await self._database.fetchval(
                _APPEND_BATCH,
                [row.stream_id for row in rows],
                [row.version for row in rows],
                [row.type for row in rows],
                [row.schema_version for row in rows],
                [encode(row.data) for row in rows],
                [encode(row.meta) for row in rows],
                [row.event_id for row in rows],
                now,
                [head.stream_id for head in heads],
                [head.expected_version for head in heads],
            )
        except asyncpg.PostgresError as error:
            if len(appends) == 1:
                raise _explain(error, appends[0].stream_id, appends[0].expected_version) from error
            raise _explain(error) from error
        return self._appended(rows, positions)

    async def read_stream(
        self, stream_id: str, after: int = 0, limit: int | None = None
    ) -> list[RecordedEvent]:
        """Events of a stream with a version above `after` (default 0), oldest first, at most `limit`."""
        rows = await self._database.fetch(_READ_STREAM, stream_id, after, limit)
        return [self._recorded(row) for row in rows]

    async def read_all(self, after_position: int, limit: int = 500) -> list[RecordedEvent]:
        """Events of all streams above a position, oldest first; none that could be overtaken."""
        return (await self.read_page(after_position, limit)).events

    async def read_page(self, after_position: int, limit: int = 500) -> EventPage:
        """As `read_all`, with the position reached, which also passes the gaps of rolled back writers."""
        ceiling = await EVENT_LOG.read_ceiling(self._database, after_position)
        if ceiling <= after_position:
            return EventPage([], after_position)
        events = await self.read_range(after_position, ceiling, limit)
        return EventPage(events, events[-1].position if len(events) == limit else ceiling)

    async def read_range(self, after_position: int, until: int, limit: int) -> list[RecordedEvent]:
        """Events in `(after_position, until]`; `until` is a ceiling that some read had before."""
        rows = await self._database.fetch(_READ_ALL, after_position, until, limit)
        return [self._recorded(row) for row in rows]

    async def head(self) -> int:
        """The highest position given out so far; what lies below may still be uncommitted."""
        return await EVENT_LOG.floor(self._database)

    async def load(
        self, stream_id: str, snapshot_schema_version: int
    ) -> tuple[Snapshot | None, list[RecordedEvent]]:
        """The snapshot of a stream, if it has that shape, and the events after it, in one round trip."""
        rows = await self._database.fetch(_LOAD, stream_id, snapshot_schema_version)
        if rows and rows[0]["position"] == 0:
            return _snapshot(stream_id, rows[0], "data"), [self._recorded(row) for row in rows[1:]]
        return None, [self._recorded(row) for row in rows]

    async def save_snapshot(self, snapshot: Snapshot) -> None:
        """Keep the newest snapshot of a stream; an older one changes nothing."""
        await self._database.execute(
            _SAVE_SNAPSHOT,
            snapshot.stream_id,
            snapshot.version,
            snapshot.schema_version,
            encode(snapshot.state),
            self._clock.now(),
        )

    async def load_snapshot(self, stream_id: str) -> Snapshot | None:
        """The snapshot of a stream, whatever its shape."""
        row = await self._database.fetchrow(
            "SELECT version, schema_version, state FROM snapshot WHERE stream_id = $1", stream_id
        )
        return None if row is None else _snapshot(stream_id, row, "state")

    def subscribe(self) -> Wakeup:
        """A flag that is raised after each commit of this process that appended something."""
        wakeup = Wakeup()
        self._listeners.append(wakeup)
        return wakeup

    def unsubscribe(self, wakeup: Wakeup) -> None:
        """Stop raising a flag."""
        self._listeners.remove(wakeup)

    async def _logged(
        self, append: Callable[P, Awaitable[list[RecordedEvent]]], *args: P.args, **kwargs: P.kwargs
    ) -> list[RecordedEvent]:
        if self._log is None:
            return await append(*args, **kwargs)
        async with self._database.transaction() as tx:
            recorded = await append(*args, **kwargs)
            self._log.record(tx, recorded)
        return recorded

    def _stamp(self, appends: Sequence[StreamAppend], now: datetime) -> list[RecordedEvent]:
        """The rows to be, with position 0."""
        inherited = context_meta(context.current())
        return [
            RecordedEvent(
                position=0,
                stream_id=append.stream_id,
                version=version,
                type=event.type,
                schema_version=event.schema_version,
                data=dict(event.data),
                meta={**inherited, **event.meta},
                event_id=event.event_id or self._ids.uuid7(),
                recorded_at=now,
            )
            for append in appends
            for version, event in enumerate(append.events, append.expected_version + 1)
        ]

    def _appended(self, rows: list[RecordedEvent], positions: list[int]) -> list[RecordedEvent]:
        crashpoint("eventstore.appended")
        self._database.after_commit(self._announce)
        for row, position in zip(rows, positions, strict=True):
            object.__setattr__(row, "position", position)  # ours alone so far; a copy costs as much again
        return rows

    def _announce(self) -> None:
        for wakeup in self._listeners:
            wakeup.notify()

    def _recorded(self, row: asyncpg.Record) -> RecordedEvent:
        event_type: str = row["type"]
        schema_version, data = self._upcasters.upcast(event_type, row["schema_version"], decode(row["data"]))
        return RecordedEvent(
            position=row["position"],
            stream_id=row["stream_id"],
            version=row["version"],
            type=event_type,
            schema_version=schema_version,
            data=data,
            meta=decode(row["meta"]),
            event_id=str(row["event_id"]),
            recorded_at=row["recorded_at"],
        )


def _snapshot(stream_id: str, row: Any, state: str) -> Snapshot:
    return Snapshot(stream_id, row["version"], row["schema_version"], decode(row[state]))


def _explain(
    error: asyncpg.PostgresError, stream_id: str | None = None, expected_version: int | None = None
) -> Exception:
    if isinstance(error, asyncpg.UniqueViolationError) and error.constraint_name == "event_pkey":
        return ConcurrencyError(stream_id, expected_version)
    if isinstance(error, asyncpg.UntranslatableCharacterError | asyncpg.CharacterNotInRepertoireError):
        return InvalidArgument("VALIDATION_FAILED", "A text holds a character that cannot be stored (NUL).")
    return error
