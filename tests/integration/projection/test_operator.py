"""An operator rebuilds a projection beside the live one, looks on, cancels, and swaps."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from chassis.audit import Order, actions
from chassis.clock import SystemClock
from chassis.database import Database, Transaction
from chassis.errors import DomainError
from chassis.eventstore import EventStore, NewEvent, RecordedEvent
from chassis.ids import SystemIds
from chassis.projection import (
    Projection,
    ProjectionOperator,
    ProjectionRunner,
    ProjectionState,
    ReadTable,
    Tables,
)
from chassis.schema import AUDIT_V1, EVENT_STORE_V1, PROJECTION_V1
from chassis.testing import eventually

ANN = Order("ann", "the rows look wrong")
SEEN = ReadTable(
    "seen", "CREATE TABLE {table} (stream_id text, version bigint, PRIMARY KEY (stream_id, version));"
)


async def apply(events: Sequence[RecordedEvent], tables: Tables, tx: Transaction) -> None:
    await tx.executemany(
        f"INSERT INTO {tables['seen']} VALUES ($1, $2)",
        [(event.stream_id, event.version) for event in events],
    )


SEEN_EVENTS = Projection("seen_events", (SEEN,), apply, batch_size=5)


@pytest_asyncio.fixture
async def store(database: Database) -> EventStore:
    await database.execute(EVENT_STORE_V1 + PROJECTION_V1 + AUDIT_V1 + SEEN_EVENTS.create_sql())
    return EventStore(database, SystemClock(), SystemIds())


@pytest.fixture
def runner(database: Database, store: EventStore) -> ProjectionRunner:
    return ProjectionRunner(database, store, SEEN_EVENTS, poll_s=0.02, retry_max_s=0.1)


@pytest.fixture
def operator(database: Database, runner: ProjectionRunner) -> ProjectionOperator:
    return ProjectionOperator(database, [runner], SystemClock())


@asynccontextmanager
async def running(runner: ProjectionRunner) -> AsyncIterator[None]:
    task = asyncio.create_task(runner.run())
    try:
        yield
    finally:
        await runner.stop()
        await task


async def fill(store: EventStore, stream: str, count: int = 12) -> None:
    await store.append(stream, 0, [NewEvent("thing.seen", 1, {}, {}) for _ in range(count)])


async def built(operator: ProjectionOperator) -> ProjectionState:
    state = await operator.get("seen_events")
    assert state.building is not None
    assert state.building.lag == 0, state
    return state


async def reason_of(refused: Awaitable[object]) -> str:
    with pytest.raises(DomainError) as error:
        await refused
    return error.value.reason


async def tables(database: Database) -> list[str]:
    rows = await database.fetch("SELECT tablename FROM pg_tables WHERE tablename LIKE 'seen%' ORDER BY 1")
    return [row["tablename"] for row in rows]


async def test_a_rebuild_is_built_and_kept_caught_up_until_it_is_swapped(
    store: EventStore, runner: ProjectionRunner, operator: ProjectionOperator, database: Database
) -> None:
    await fill(store, "a")
    async with running(runner):
        begun = await operator.rebuild("seen_events", ANN)
        assert begun.building is not None
        await eventually(lambda: built(operator))
        await fill(store, "b", 3)
        state = await eventually(lambda: built(operator))
        assert (state.building.version, state.building.position) == (2, 15)
        assert await tables(database) == ["seen", "seen_v2"]
        again = await operator.rebuild("seen_events", ANN)
        assert again.building is not None
        assert again.building.version == 2
        swapped = await operator.swap("seen_events", ANN)
    assert (swapped.live.version, swapped.building) == (2, None)
    assert await tables(database) == ["seen"]
    assert await database.fetchval("SELECT count(*) FROM seen") == 15
    done = [(line.subject, line.who, line.what) for line in await actions(database)]
    assert done == [
        ("projection/seen_events", "ann", "swap to version 2"),
        ("projection/seen_events", "ann", "rebuild"),
    ]


async def test_a_rebuild_goes_on_in_the_next_process(
    store: EventStore, runner: ProjectionRunner, operator: ProjectionOperator, database: Database
) -> None:
    await fill(store, "a")
    await runner.catch_up()
    await operator.rebuild("seen_events", ANN)
    assert await runner.rebuilding.step() is True
    other = ProjectionRunner(database, store, SEEN_EVENTS, poll_s=0.02)
    async with running(other):
        await eventually(lambda: built(operator))
    assert (await operator.swap("seen_events", ANN)).live.version == 2


async def test_a_cancelled_rebuild_leaves_nothing_behind(
    store: EventStore, runner: ProjectionRunner, operator: ProjectionOperator, database: Database
) -> None:
    await fill(store, "a")
    async with running(runner):
        await operator.rebuild("seen_events", ANN)
        await eventually(lambda: built(operator))
        assert (await operator.cancel("seen_events", ANN)).building is None
        assert await tables(database) == ["seen"]
        assert await reason_of(operator.cancel("seen_events", ANN)) == "REBUILD_NOT_RUNNING"
        assert await reason_of(operator.swap("seen_events", ANN)) == "REBUILD_NOT_RUNNING"
        await operator.rebuild("seen_events", ANN)
        await eventually(lambda: built(operator))


async def test_what_differs_is_swapped_only_when_the_operator_accepts_it(
    store: EventStore, runner: ProjectionRunner, operator: ProjectionOperator, database: Database
) -> None:
    await fill(store, "a")
    await runner.catch_up()
    async with running(runner):
        await operator.rebuild("seen_events", ANN)
        await eventually(lambda: built(operator))
        sums = await operator.checksums("seen_events")
        assert [(entry.table, entry.rows) for entry in sums[1]] == [("seen", 12)]
        assert sums[1] == sums[2]
        await database.execute("DELETE FROM seen WHERE version = 4")
        sums = await operator.checksums("seen_events")
        assert (sums[1][0].rows, sums[2][0].rows) == (11, 12)
        assert sums[1][0].value != sums[2][0].value

        assert await reason_of(operator.swap("seen_events", ANN)) == "PROJECTION_DIFFERS"
        state = await operator.get("seen_events")
        assert (state.live.version, state.building.status) == (1, "differs")
        assert await reason_of(operator.rebuild("seen_events", ANN)) == "PROJECTION_DIFFERS"
        await fill(store, "b", 1)
        swapped = await operator.swap("seen_events", ANN, accept_difference=True)
    assert (swapped.live.version, swapped.building) == (2, None)
    assert await database.fetchval("SELECT count(*) FROM seen") == 13
    assert [line.what for line in await actions(database)] == [
        "swap to version 2",
        "try to swap to version 2",
        "rebuild",
    ]


async def test_a_rebuild_far_behind_is_not_swapped(
    store: EventStore, runner: ProjectionRunner, operator: ProjectionOperator
) -> None:
    await fill(store, "a", 80)
    await runner.catch_up()
    await operator.rebuild("seen_events", ANN)
    assert await reason_of(operator.swap("seen_events", ANN)) == "REBUILD_NOT_CAUGHT_UP"


async def test_a_rebuild_that_fails_says_why_and_does_not_stop_the_live_one(
    store: EventStore, database: Database
) -> None:
    broken = True

    async def fragile(events: Sequence[RecordedEvent], tables: Tables, tx: Transaction) -> None:
        if broken and tables["seen"] != "seen":
            raise RuntimeError("cannot build")
        await apply(events, tables, tx)

    projection = Projection("seen_events", (SEEN,), fragile, batch_size=5)
    runner = ProjectionRunner(database, store, projection, poll_s=0.02, retry_max_s=0.1)
    operator = ProjectionOperator(database, [runner], SystemClock())
    await fill(store, "a")
    await runner.catch_up()
    await operator.rebuild("seen_events", ANN)

    async def failed() -> str:
        state = await operator.get("seen_events")
        assert state.building is not None
        assert state.building.last_error
        return state.building.last_error

    async with running(runner):
        assert await eventually(failed) == "RuntimeError: cannot build"
        await fill(store, "b", 2)

        async def live_caught_up() -> bool:
            live = (await operator.get("seen_events")).live
            return live is not None and live.lag == 0 and live.last_error is None

        await eventually(live_caught_up)
        broken = False
        await eventually(lambda: built(operator))


async def test_an_unknown_projection_is_refused_with_those_that_exist(
    store: EventStore, operator: ProjectionOperator
) -> None:
    with pytest.raises(DomainError, match="seen_events") as refused:
        await operator.get("nothing")
    assert refused.value.reason == "PROJECTION_NOT_FOUND"
    (only,) = await operator.page()
    assert (only.name, only.live) == ("seen_events", None)
    assert await operator.page(after="seen_events") == []
