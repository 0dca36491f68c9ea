"""The event store against a model in plain memory, over random histories."""

import asyncio
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from chassis.database import Database
from chassis.eventstore import ConcurrencyError, EventStore, NewEvent, Snapshot, StreamAppend
from chassis.schema import EVENT_STORE_V1
from chassis.testing import FixedClock, PostgresServer, SequentialIds

STREAMS = st.sampled_from(["a", "b", "c"])
DATA = st.dictionaries(
    st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=5),
    st.none()
    | st.booleans()
    | st.integers()
    | st.text(st.characters(exclude_characters="\0", codec="utf-8")),
    max_size=3,
)
EVENTS = st.lists(st.builds(NewEvent, st.sampled_from(["x", "y"]), st.integers(1, 3), DATA), max_size=4)
Stored = tuple[str, int, str, int, dict[str, Any]]


class UndoneError(Exception):
    """The transaction is rolled back on purpose."""


class EventStoreMachine(RuleBasedStateMachine):
    """Streams are lists; the order of all is one list; a snapshot is the last one saved."""

    dsn: str
    runner: asyncio.Runner

    @initialize()
    def begin(self) -> None:
        self.streams: dict[str, int] = {}
        self.log: list[Stored] = []
        self.snapshots: dict[str, Snapshot] = {}
        self.cursor, self.seen = 0, list[Stored]()
        self.database = self.run(Database.connect(self.dsn, pool_size=2))
        self.run(self.database.execute("TRUNCATE event, snapshot"))
        self.store = EventStore(self.database, FixedClock(), SequentialIds())
        self.cursor = self.run(self.store.head())

    def run(self, awaitable: Any) -> Any:
        return self.runner.run(awaitable)

    def teardown(self) -> None:
        if hasattr(self, "database"):
            self.run(self.database.close())

    def model_append(self, stream: str, expected: int, events: list[NewEvent]) -> bool:
        if events and expected != self.streams.get(stream, 0):
            return False
        if events:
            self.streams[stream] = expected + len(events)
        self.log += [
            (stream, version, event.type, event.schema_version, dict(event.data))
            for version, event in enumerate(events, expected + 1)
        ]
        return True

    @rule(stream=STREAMS, events=EVENTS, off_by=st.sampled_from([0, 0, 0, -1, 1]))
    def append(self, stream: str, events: list[NewEvent], off_by: int) -> None:
        expected = self.streams.get(stream, 0) + off_by
        if self.model_append(stream, expected, events):
            recorded = self.run(self.store.append(stream, expected, events))
            assert [event.version for event in recorded] == list(
                range(expected + 1, expected + len(events) + 1)
            )
        else:
            with pytest.raises(ConcurrencyError):
                self.run(self.store.append(stream, expected, events))

    @rule(parts=st.dictionaries(STREAMS, EVENTS, max_size=3), off_by=st.sampled_from([0, 0, 1]))
    def append_to_many(self, parts: dict[str, list[NewEvent]], off_by: int) -> None:
        appends = [
            StreamAppend(stream, self.streams.get(stream, 0) + off_by, tuple(events))
            for stream, events in parts.items()
        ]
        if off_by and any(parts.values()):
            with pytest.raises(ConcurrencyError):
                self.run(self.store.append_many(appends))
            return
        self.run(self.store.append_many(appends))
        for part in appends:
            self.model_append(part.stream_id, part.expected_version, list(part.events))

    @rule(stream=STREAMS, events=EVENTS)
    def append_and_undo(self, stream: str, events: list[NewEvent]) -> None:
        async def undone() -> None:
            async with self.database.transaction():
                await self.store.append(stream, self.streams.get(stream, 0), events)
                raise UndoneError

        with pytest.raises(UndoneError):
            self.run(undone())

    @rule(stream=STREAMS, version=st.integers(1, 4), schema_version=st.integers(1, 2), state=DATA)
    def snapshot(self, stream: str, version: int, schema_version: int, state: dict[str, Any]) -> None:
        taken, held = Snapshot(stream, version, schema_version, state), self.snapshots.get(stream)
        self.run(self.store.save_snapshot(taken))
        if held is None or (held.schema_version, held.version) < (schema_version, version):
            self.snapshots[stream] = taken

    @rule(stream=STREAMS, schema_version=st.integers(1, 2))
    def load(self, stream: str, schema_version: int) -> None:
        snapshot, events = self.run(self.store.load(stream, schema_version))
        held = self.snapshots.get(stream)
        usable = held if held is not None and held.schema_version == schema_version else None
        after = usable.version if usable else 0
        assert snapshot == usable
        assert [stored(event) for event in events] == [e for e in self.log if e[0] == stream and e[1] > after]

    @rule(limit=st.integers(1, 5))
    def follow(self, limit: int) -> None:
        page = self.run(self.store.read_page(self.cursor, limit))
        self.seen += [stored(event) for event in page.events]
        self.cursor = page.position
        assert self.seen == self.log[: len(self.seen)]

    @invariant()
    def streams_read_as_written(self) -> None:
        for stream in self.streams:
            events = self.run(self.store.read_stream(stream))
            assert [stored(event) for event in events] == [e for e in self.log if e[0] == stream]

    @invariant()
    def the_newest_snapshots_are_kept(self) -> None:
        for stream, snapshot in self.snapshots.items():
            assert self.run(self.store.load_snapshot(stream)) == snapshot

    @invariant()
    def a_reader_can_reach_everything(self) -> None:
        rest = self.run(self.store.read_all(self.cursor, 10_000))
        assert self.seen + [stored(event) for event in rest] == self.log


def stored(event: Any) -> Stored:
    return (event.stream_id, event.version, event.type, event.schema_version, event.data)


def test_the_event_store_behaves_as_its_model(postgres_server: PostgresServer) -> None:
    with asyncio.Runner() as runner:
        dsn = runner.run(postgres_server.create_database())

        async def prepare() -> None:
            database = await Database.connect(dsn)
            await database.execute(EVENT_STORE_V1)
            await database.close()

        runner.run(prepare())
        machine = type("Machine", (EventStoreMachine,), {"dsn": dsn, "runner": runner})
        run_state_machine_as_test(  # type: ignore[no-untyped-call]
            machine,
            settings=settings(
                max_examples=30,
                stateful_step_count=25,
                phases=[Phase.generate],  # shrinking against a server takes minutes; switch it on to debug
                suppress_health_check=list(HealthCheck),
            ),
        )
        runner.run(postgres_server.drop_database(dsn))
