"""The event store on a real PostgreSQL."""

import asyncio
from typing import Any

import pytest
import pytest_asyncio

from chassis.context import Principal, RequestContext, use
from chassis.database import Database
from chassis.errors import InvalidArgument
from chassis.eventstore import (
    ConcurrencyError,
    EventStore,
    NewEvent,
    RecordedEvent,
    Snapshot,
    StreamAppend,
    UnknownSchemaVersionError,
    Upcasters,
)
from chassis.schema import EVENT_STORE_V1
from chassis.testing import FixedClock, SequentialIds, rolled_back


def minted(number: int = 0) -> NewEvent:
    return NewEvent("lot.minted", 1, {"number": number})


@pytest_asyncio.fixture
async def store(database: Database) -> EventStore:
    await database.execute(EVENT_STORE_V1)
    return EventStore(database, FixedClock(), SequentialIds())


async def test_appended_events_come_back_as_they_were(store: EventStore) -> None:
    data = {
        "quantity": "12.50",
        "tags": ["a", None, True],
        "name": "Gr\u00fcnkohl \N{LEAFY GREEN}",
        "deep": {"n": 2**70},
    }
    [recorded] = await store.append("lot-1", 0, [NewEvent("lot.minted", 3, data, {"source": "import"})])
    assert await store.read_stream("lot-1") == [recorded]
    assert recorded == RecordedEvent(
        position=1,
        stream_id="lot-1",
        version=1,
        type="lot.minted",
        schema_version=3,
        data=data,
        meta={"source": "import"},
        event_id="00000000-0000-7000-8000-000000000001",
        recorded_at=FixedClock().now(),
    )


async def test_several_events_are_appended_in_order(store: EventStore) -> None:
    await store.append("lot-1", 0, [minted(1)])
    recorded = await store.append("lot-1", 1, [minted(n) for n in range(2, 12)])
    assert [event.version for event in recorded] == list(range(2, 12))
    assert [event.data["number"] for event in await store.read_stream("lot-1", after=5)] == list(range(6, 12))
    assert await store.read_stream("lot-1", after=1) == recorded
    assert [event.version for event in await store.read_stream("lot-1", after=3, limit=2)] == [4, 5]


async def test_appending_nothing_changes_nothing(store: EventStore) -> None:
    assert await store.append("lot-1", 0, []) == []
    assert await store.append_many([StreamAppend("lot-1", 5, ())]) == []
    assert await store.head() == 0


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize("expected", [0, 1, 3, -1])
async def test_another_version_than_expected_is_a_conflict_and_appends_nothing(
    store: EventStore, expected: int, count: int
) -> None:
    await store.append("lot-1", 0, [minted(), minted()])
    with pytest.raises(ConcurrencyError) as conflict:
        await store.append("lot-1", expected, [minted()] * count)
    assert conflict.value.metadata == {"stream": "lot-1", "expected_version": str(expected)}
    assert len(await store.read_all(0)) == 2


async def test_a_stream_cannot_begin_in_the_middle(store: EventStore) -> None:
    with pytest.raises(ConcurrencyError):
        await store.append("lot-1", 4, [minted()])


async def test_of_many_writers_of_one_version_exactly_one_wins(store: EventStore) -> None:
    outcomes = await asyncio.gather(
        *(store.append("lot-1", 0, [minted(n)]) for n in range(20)), return_exceptions=True
    )
    winners = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(winners) == 1
    assert all(isinstance(outcome, ConcurrencyError) for outcome in outcomes if outcome not in winners)
    assert await store.read_stream("lot-1") == winners[0]


async def test_a_batch_over_many_streams_is_all_or_nothing(store: EventStore) -> None:
    await store.append("lot-0", 0, [minted()])
    appends = [StreamAppend(f"lot-{n}", 1 if n == 0 else 0, (minted(n), minted(n))) for n in range(50)]
    recorded = await store.append_many(appends)
    assert [event.position for event in recorded] == sorted(event.position for event in recorded)
    assert await store.read_stream("lot-49") == recorded[-2:]
    with pytest.raises(ConcurrencyError):
        await store.append_many([StreamAppend("new", 0, (minted(),)), StreamAppend("lot-7", 9, (minted(),))])
    assert await store.read_stream("new") == []


async def test_appends_join_the_ambient_transaction(store: EventStore, database: Database) -> None:
    async with rolled_back(database.transaction()):
        await store.append("lot-1", 0, [minted()])
        await store.append("lot-1", 1, [minted(), minted()])
        assert len(await store.read_stream("lot-1")) == 3
    assert await store.read_stream("lot-1") == []


async def test_an_event_keeps_the_context_that_caused_it(store: EventStore) -> None:
    principal = Principal("ada", "user")
    with use(RequestContext(request_id="r", correlation_id="c", principal=principal, traceparent="00-t")):
        [event] = await store.append("lot-1", 0, [NewEvent("lot.minted", 1, {}, {"note": "mine"})])
    assert event.meta == {
        "correlation_id": "c",
        "causation_id": "r",
        "actor": "user:ada",
        "traceparent": "00-t",
        "note": "mine",
    }


async def test_text_that_cannot_be_stored_is_refused(store: EventStore) -> None:
    for attempt in (
        store.append("lot-1", 0, [NewEvent("t", 1, {"text": "a\0b"})]),
        store.append("lot\0", 0, [minted()]),
    ):
        with pytest.raises(InvalidArgument) as refusal:
            await attempt
        assert refusal.value.reason == "VALIDATION_FAILED"


@pytest.mark.parametrize("value", [float("nan"), {1, 2}, object()])
async def test_data_that_is_not_json_is_a_mistake_of_the_caller(store: EventStore, value: Any) -> None:
    with pytest.raises((TypeError, ValueError)):
        await store.append("lot-1", 0, [NewEvent("t", 1, {"x": value})])


async def test_old_events_are_upcast_when_they_are_read(store: EventStore, database: Database) -> None:
    await store.append("lot-1", 0, [NewEvent("lot.minted", 1, {"kg": "3"})])
    upcasters = Upcasters()
    upcasters.register("lot.minted", 1, lambda data: {"amount": data["kg"], "unit": "KGM"})
    newer = EventStore(database, FixedClock(), SequentialIds(), upcasters)
    expected = (2, {"amount": "3", "unit": "KGM"})
    for [event] in (await newer.read_stream("lot-1"), await newer.read_all(0)):
        assert (event.schema_version, event.data) == expected
    stored = await database.fetchrow("SELECT schema_version, data FROM event")
    assert stored is not None
    assert tuple(stored) == (1, '{"kg": "3"}')


async def test_an_event_from_a_newer_process_is_not_misread(store: EventStore, database: Database) -> None:
    await store.append("lot-1", 0, [NewEvent("lot.minted", 3, {})])
    upcasters = Upcasters()
    upcasters.register("lot.minted", 1, dict)
    with pytest.raises(UnknownSchemaVersionError):
        await EventStore(database, FixedClock(), SequentialIds(), upcasters).read_stream("lot-1")


async def test_the_newest_snapshot_is_kept(store: EventStore) -> None:
    assert await store.load_snapshot("lot-1") is None
    newest = Snapshot("lot-1", 20, 1, {"weight": "5"})
    await store.save_snapshot(Snapshot("lot-1", 10, 1, {}))
    await store.save_snapshot(newest)
    await store.save_snapshot(Snapshot("lot-1", 15, 1, {}))
    assert await store.load_snapshot("lot-1") == newest
    reshaped = Snapshot("lot-1", 15, 2, {"amount": "5"})
    await store.save_snapshot(reshaped)
    assert await store.load_snapshot("lot-1") == reshaped


async def test_a_load_gives_the_snapshot_and_what_came_after(store: EventStore) -> None:
    recorded = await store.append("lot-1", 0, [minted(n) for n in range(10)])
    snapshot = Snapshot("lot-1", 7, 2, {"sum": 28})
    await store.save_snapshot(snapshot)
    assert await store.load("lot-1", 2) == (snapshot, recorded[7:])
    assert await store.load("lot-1", 1) == (None, recorded)
    assert await store.load("lot-2", 1) == (None, [])


async def test_all_events_are_read_in_pages(store: EventStore) -> None:
    for n in range(7):
        await store.append(f"lot-{n}", 0, [minted(n)])
    seen: list[int] = []
    position = 0
    while True:
        page = await store.read_page(position, limit=3)
        seen += [event.data["number"] for event in page.events]
        position = page.position
        if not page.events:
            break
    assert seen == list(range(7))


async def test_a_page_passes_the_gap_of_a_rolled_back_writer(store: EventStore, database: Database) -> None:
    async with rolled_back(database.transaction()):
        await store.append("lot-1", 0, [minted()])
    page = await store.read_page(0)
    assert (page.events, page.position) == ([], await store.head()) == ([], 1)


async def test_a_reader_stops_before_an_open_writer_and_goes_on_after_it(
    store: EventStore, database: Database
) -> None:
    await store.append("before", 0, [minted()])
    written, go = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with database.transaction():
            await store.append("slow", 0, [minted()])
            written.set()
            await go.wait()

    task = asyncio.create_task(slow())
    await written.wait()
    await store.append("quick", 0, [minted()])
    page = await store.read_page(0)
    assert [event.stream_id for event in page.events] == ["before"]
    go.set()
    await task
    rest = await store.read_page(page.position)
    assert [event.stream_id for event in rest.events] == ["slow", "quick"]


async def test_a_long_transaction_holds_one_lock_however_much_it_appends(
    store: EventStore, database: Database
) -> None:
    async with database.transaction() as tx:
        for n in range(20):
            await store.append(f"lot-{n}", 0, [minted()])
        assert await tx.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 1


async def test_a_writer_whose_savepoint_was_undone_is_seen_again(
    store: EventStore, database: Database
) -> None:
    """The lock goes with the savepoint, so the next append must take it anew."""
    async with database.transaction() as tx:
        async with rolled_back(tx.savepoint()):
            await store.append("undone", 0, [minted()])
        await store.append("kept", 0, [minted()])
        assert await tx.fetchval("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == 1


async def test_an_append_wakes_whoever_listens_after_the_commit(
    store: EventStore, database: Database
) -> None:
    wakeup = store.subscribe()
    async with database.transaction():
        await store.append("lot-1", 0, [minted()])
        assert not await wakeup.wait(0.01)
    assert await wakeup.wait(5)
    await store.append("lot-2", 0, [minted()])
    assert await wakeup.wait(5)
    store.unsubscribe(wakeup)
    await store.append("lot-3", 0, [minted()])
    assert not await wakeup.wait(0.01)
