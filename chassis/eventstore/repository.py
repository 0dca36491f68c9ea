"""Event-sourced aggregates: fold a stream into a state, append what was decided."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from chassis.errors import NotFound
from chassis.eventstore.events import NewEvent, RecordedEvent, Snapshot
from chassis.eventstore.store import EventStore

A = TypeVar("A")
E = TypeVar("E")


@dataclass(frozen=True)
class SnapshotCodec(Generic[A]):
    """How a state becomes JSON and back.

    Args:
        schema_version: raise it when the shape changes; older snapshots are then ignored.
        every: events between two snapshots; default 100.
    """

    encode: Callable[[A], dict[str, Any]]
    decode: Callable[[dict[str, Any]], A]
    schema_version: int = 1
    every: int = 100


@dataclass(frozen=True)
class Aggregate(Generic[A, E]):
    """How one kind of aggregate lives in streams.

    Args:
        kind: name of the aggregate, first part of its stream ids (`lot` -> `lot-<id>`).
        initial: id -> state before any event.
        evolve: (state, event) -> next state; pure, and never refuses: the event has happened.
        encode: domain event -> stored event.
        decode: stored event (newest schema version) -> domain event.
        snapshots: default None, always fold the whole stream.
    """

    kind: str
    initial: Callable[[str], A]
    evolve: Callable[[A, E], A]
    encode: Callable[[E], NewEvent]
    decode: Callable[[RecordedEvent], E]
    snapshots: SnapshotCodec[A] | None = None


@dataclass(frozen=True)
class Loaded(Generic[A]):
    """A state and the version of the stream that it was folded from; 0 when there is no event yet."""

    id: str
    version: int
    state: A


class Repository(Generic[A, E]):
    """Loads and saves aggregates of one kind."""

    def __init__(self, store: EventStore, aggregate: Aggregate[A, E]) -> None:
        self._store = store
        self._aggregate = aggregate

    def new(self, id: str) -> Loaded[A]:
        """An aggregate without history; saving it fails when the stream exists."""
        return Loaded(id, 0, self._aggregate.initial(id))

    async def find(self, id: str) -> Loaded[A] | None:
        """The aggregate, or None when it has no event."""
        snapshots = self._aggregate.snapshots
        if snapshots is None:
            snapshot, events = None, await self._store.read_stream(self.stream_id(id))
        else:
            snapshot, events = await self._store.load(self.stream_id(id), snapshots.schema_version)
        if snapshot is not None and snapshots is not None:
            version, state = snapshot.version, snapshots.decode(snapshot.state)
        else:
            version, state = 0, self._aggregate.initial(id)
        for event in events:
            version, state = event.version, self._aggregate.evolve(state, self._aggregate.decode(event))
        return Loaded(id, version, state) if version else None

    async def load(self, id: str) -> Loaded[A]:
        """The aggregate.

        Raises:
            NotFound: it has no event.
        """
        loaded = await self.find(id)
        if loaded is None:
            kind = self._aggregate.kind
            raise NotFound(f"{kind.upper()}_NOT_FOUND", f"There is no {kind} {id}.", resource=(kind, id))
        return loaded

    async def save(
        self, loaded: Loaded[A], events: Sequence[E], meta: Mapping[str, Any] | None = None
    ) -> tuple[Loaded[A], list[RecordedEvent]]:
        """Append what was decided on a loaded state.

        Args:
            loaded: from `load` or `new`.
            events: the decision; none changes nothing.
            meta: added to each event's own; default none.

        Returns:
            The next state, and the events as stored.

        Raises:
            ConcurrencyError: the aggregate changed since it was loaded.
        """
        stream_id = self.stream_id(loaded.id)
        encoded = [self._with_meta(self._aggregate.encode(event), meta) for event in events]
        recorded = await self._store.append(stream_id, loaded.version, encoded)
        state = loaded.state
        for event in events:
            state = self._aggregate.evolve(state, event)
        after = Loaded(loaded.id, loaded.version + len(recorded), state)
        await self._snapshot(loaded.version, after)
        return after, recorded

    def stream_id(self, id: str) -> str:
        """The stream of an aggregate."""
        return f"{self._aggregate.kind}-{id}"

    async def _snapshot(self, before: int, after: Loaded[A]) -> None:
        codec = self._aggregate.snapshots
        if codec is None or before // codec.every == after.version // codec.every:
            return
        state = codec.encode(after.state)
        stream_id = self.stream_id(after.id)
        await self._store.save_snapshot(Snapshot(stream_id, after.version, codec.schema_version, state))

    @staticmethod
    def _with_meta(event: NewEvent, meta: Mapping[str, Any] | None) -> NewEvent:
        if not meta:
            return event
        merged = {**event.meta, **meta}
        return NewEvent(event.type, event.schema_version, event.data, merged, event.event_id)
