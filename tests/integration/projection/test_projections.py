"""Projections over the event store: checkpoints, rebuilds, loops."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import pytest_asyncio

from chassis.clock import SystemClock
from chassis.crashpoints import CrashpointHit, arm
from chassis.database import Database, Transaction
from chassis.eventstore import EventStore, NewEvent, RecordedEvent
from chassis.ids import SystemIds
from chassis.projection import Projection, ProjectionRunner, ReadTable, Rebuild, Tables, statuses
from chassis.schema import EVENT_STORE_V1, PROJECTION_V1
from chassis.testing import eventually

OWNER = ReadTable(
    "lot_owner",
    """
    CREATE TABLE {table} (lot_id text PRIMARY KEY, owner text NOT NULL, transfers int NOT NULL);
    CREATE INDEX ON {table} (owner);
    """,
)
HISTORY = ReadTable(
    "lot_history",
    "CREATE TABLE {table} (lot_id text, version bigint, owner text, PRIMARY KEY (lot_id, version));",
)


async def apply(events: Sequence[RecordedEvent], tables: Tables, tx: Transaction) -> None:
    known = [event for event in events if event.type == "lot.transferred"]
    if any(event.data["owner"] == "poison" for event in known):
        raise RuntimeError("cannot apply poison")
    rows = [(event.stream_id, event.version, event.data["owner"]) for event in known]
    await tx.executemany(f"INSERT INTO {tables['lot_history']} VALUES ($1, $2, $3)", rows)
    await tx.executemany(
        f"""
        INSERT INTO {tables["lot_owner"]} AS o VALUES ($1, $2, 1)
        ON CONFLICT (lot_id) DO UPDATE SET owner = excluded.owner, transfers = o.transfers + 1
        """,
        [(lot, owner) for lot, _, owner in rows],
    )


async def apply_upper(events: Sequence[RecordedEvent], tables: Tables, tx: Transaction) -> None:
    await apply(events, tables, tx)
    await tx.execute(f"UPDATE {tables['lot_owner']} SET owner = upper(owner)")


OWNERS = Projection("owners", (OWNER, HISTORY), apply, batch_size=5)
OWNERS_2 = Projection("owners", (OWNER, HISTORY), apply_upper, logic_version=2, batch_size=5)


@pytest_asyncio.fixture
async def store(database: Database) -> EventStore:
    await database.execute(EVENT_STORE_V1 + PROJECTION_V1 + OWNERS.create_sql())
    return EventStore(database, SystemClock(), SystemIds())


@pytest.fixture
def runner(database: Database, store: EventStore) -> ProjectionRunner:
    return ProjectionRunner(database, store, OWNERS)


@asynccontextmanager
async def running(runner: ProjectionRunner) -> AsyncIterator[None]:
    task = asyncio.create_task(runner.run())
    try:
        yield
    finally:
        await runner.stop()
        await task


async def transfer(store: EventStore, lot: str, version: int, owner: str) -> None:
    await store.append(lot, version, [NewEvent("lot.transferred", 1, {"owner": owner})])


async def fill(store: EventStore, lots: int = 4, transfers: int = 3) -> None:
    for version in range(transfers):
        for lot in range(lots):
            await transfer(store, f"lot-{lot}", version, f"owner-{lot}-{version}")


async def owners(database: Database) -> dict[str, tuple[str, int]]:
    rows = await database.fetch("SELECT lot_id, owner, transfers FROM lot_owner")
    return {row["lot_id"]: (row["owner"], row["transfers"]) for row in rows}


async def test_catching_up_applies_each_event_once(
    store: EventStore, runner: ProjectionRunner, database: Database
) -> None:
    await fill(store)
    assert await runner.catch_up() == 12
    assert await runner.catch_up() == 0
    assert await owners(database) == {f"lot-{n}": (f"owner-{n}-2", 3) for n in range(4)}


async def test_events_that_a_projection_does_not_know_are_passed(
    store: EventStore, runner: ProjectionRunner, database: Database
) -> None:
    await store.append("lot-1", 0, [NewEvent("lot.weighed", 1, {})] * 7)
    await transfer(store, "lot-1", 7, "ada")
    assert await runner.catch_up() == 8
    assert await owners(database) == {"lot-1": ("ada", 1)}


@pytest.mark.parametrize("point", ["projection.applied", "projection.checkpointed"])
async def test_a_crash_around_the_checkpoint_applies_nothing_twice(
    store: EventStore, runner: ProjectionRunner, database: Database, point: str
) -> None:
    await fill(store)
    arm(f"{point}:throw@2")
    with pytest.raises(CrashpointHit):
        await runner.catch_up()
    assert await database.fetchval("SELECT sum(transfers) FROM lot_owner") == 5
    assert await runner.catch_up() == 7
    assert await owners(database) == {f"lot-{n}": (f"owner-{n}-2", 3) for n in range(4)}


async def test_a_running_projection_follows_at_once_and_stops_when_told(
    store: EventStore, database: Database
) -> None:
    # The poll alone would take longer than the test waits.
    runner = ProjectionRunner(database, store, OWNERS, poll_s=60)
    async with running(runner):
        for version, owner in enumerate(["ada", "bob", "cyd"]):
            await transfer(store, "lot-1", version, owner)

            async def arrived(expected: tuple[str, int] = (owner, version + 1)) -> bool:
                return (await owners(database)).get("lot-1") == expected

            await eventually(arrived)


async def test_a_projection_sees_what_another_process_appended(store: EventStore, database: Database) -> None:
    elsewhere = EventStore(database, SystemClock(), SystemIds())
    async with running(ProjectionRunner(database, store, OWNERS, poll_s=0.05)):
        await transfer(elsewhere, "lot-1", 0, "ada")

        async def arrived() -> bool:
            return await owners(database) == {"lot-1": ("ada", 1)}

        await eventually(arrived)


async def test_two_replicas_share_a_projection_without_applying_twice(
    store: EventStore, database: Database
) -> None:
    replicas = [ProjectionRunner(database, store, OWNERS, poll_s=0.02) for _ in range(2)]
    async with running(replicas[0]), running(replicas[1]):
        await fill(store, lots=10, transfers=5)

        async def arrived() -> bool:
            return sum(transfers for _, transfers in (await owners(database)).values()) == 50

        await eventually(arrived)
    assert {transfers for _, transfers in (await owners(database)).values()} == {5}


async def test_a_failing_event_stops_the_projection_with_its_reason_until_it_can_be_applied(
    store: EventStore, database: Database
) -> None:
    await transfer(store, "lot-1", 0, "poison")
    async with running(ProjectionRunner(database, store, OWNERS, poll_s=0.02, retry_max_s=0.1)):

        async def complained() -> bool:
            found = await statuses(database, store)
            return bool(found) and "cannot apply poison" in (found[0].last_error or "")

        await eventually(complained)
        await database.execute("""UPDATE event SET data = '{"owner": "ada"}'""")

        async def recovered() -> bool:
            [status] = await statuses(database, store)
            return status.last_error is None and status.lag == 0

        await eventually(recovered)
    assert await owners(database) == {"lot-1": ("ada", 1)}


async def test_the_status_says_how_far_a_projection_is(
    store: EventStore, runner: ProjectionRunner, database: Database
) -> None:
    await runner.catch_up()
    await fill(store)
    await runner.step()
    [status] = await statuses(database, store)
    assert (status.name, status.version, status.status) == ("owners", 1, "live")
    assert (status.position, status.lag) == (5, 7)


async def test_a_rebuild_equals_the_live_tables_while_writes_go_on(
    store: EventStore, database: Database
) -> None:
    await fill(store, lots=8, transfers=6)
    runner = ProjectionRunner(database, store, OWNERS, poll_s=0.02)
    reads: list[int] = []

    async def write_and_read() -> None:
        for version in range(6, 20):
            for lot in range(8):
                await transfer(store, f"lot-{lot}", version, f"owner-{lot}-{version}")
            reads.append(await database.fetchval("SELECT count(*) FROM lot_owner"))

    async with running(runner):
        await eventually(lambda: owners(database))
        writing = asyncio.create_task(write_and_read())
        reports = [await runner.rebuild() for _ in range(3)]
        await writing
        last = await runner.rebuild()
    assert [(r.version, r.identical, r.swapped) for r in reports] == [(n, True, True) for n in (2, 3, 4)]
    assert (last.events, last.identical) == (160, True)
    assert set(reads) == {8}
    await runner.catch_up()
    assert await owners(database) == {f"lot-{n}": (f"owner-{n}-19", 20) for n in range(8)}
    assert await database.fetchval("SELECT count(*) FROM lot_history") == 160
    assert await tables_like(database) == ["lot_history", "lot_owner"]


async def tables_like(database: Database) -> list[str]:
    rows = await database.fetch("SELECT tablename FROM pg_tables WHERE tablename LIKE 'lot%' ORDER BY 1")
    return [row["tablename"] for row in rows]


async def test_a_rebuild_that_differs_is_kept_beside_until_a_person_accepts_it(
    store: EventStore, runner: ProjectionRunner, database: Database
) -> None:
    await fill(store)
    await runner.catch_up()
    await database.execute("UPDATE lot_owner SET owner = 'thief' WHERE lot_id = 'lot-2'")
    report = await runner.rebuild()
    assert (report.identical, report.swapped) == (False, False)
    assert (await owners(database))["lot-2"] == ("thief", 3)
    assert [status.status for status in await statuses(database, store)] == ["live", "differs"]

    await transfer(store, "lot-0", 3, "later")
    accepted = await runner.rebuild(accept_difference=True)
    assert (accepted.version, accepted.events, accepted.swapped) == (2, 1, True)
    assert (await owners(database))["lot-2"] == ("owner-2-2", 3)
    assert (await owners(database))["lot-0"] == ("later", 4)
    assert [status.status for status in await statuses(database, store)] == ["live"]


async def test_a_rebuild_can_be_abandoned(
    store: EventStore, runner: ProjectionRunner, database: Database
) -> None:
    await fill(store)
    await runner.catch_up()
    await database.execute("UPDATE lot_owner SET owner = 'thief'")
    await runner.rebuild()
    await Rebuild(database, store, OWNERS).abandon()
    assert await tables_like(database) == ["lot_history", "lot_owner"]
    assert [status.status for status in await statuses(database, store)] == ["live"]


@pytest.mark.parametrize(
    "point", ["projection.applied", "projection.rebuild.batch", "projection.rebuild.batch:throw@2"]
)
async def test_a_rebuild_that_was_cut_short_is_resumed(
    store: EventStore, runner: ProjectionRunner, database: Database, point: str
) -> None:
    await fill(store)
    await runner.catch_up()
    arm(point if ":" in point else f"{point}:throw")
    with pytest.raises(CrashpointHit):
        await runner.rebuild()
    report = await runner.rebuild()
    assert (report.version, report.identical, report.swapped) == (2, True, True)


async def test_a_crash_in_the_swap_leaves_the_live_tables_serving(
    store: EventStore, runner: ProjectionRunner, database: Database
) -> None:
    await fill(store)
    await runner.catch_up()
    arm("projection.swapped:throw")
    with pytest.raises(CrashpointHit):
        await runner.rebuild()
    assert len(await owners(database)) == 4
    assert (await runner.rebuild()).swapped


async def test_new_logic_rebuilds_before_it_goes_on(
    store: EventStore, runner: ProjectionRunner, database: Database
) -> None:
    await fill(store)
    await runner.catch_up()
    async with running(ProjectionRunner(database, store, OWNERS_2, poll_s=0.02)):

        async def shouted() -> bool:
            return (await owners(database))["lot-1"] == ("OWNER-1-2", 3)

        await eventually(shouted)
        await transfer(store, "lot-1", 3, "ada")

        async def followed() -> bool:
            return (await owners(database))["lot-1"] == ("ADA", 4)

        await eventually(followed)


async def test_old_logic_does_not_touch_what_new_logic_built(
    store: EventStore, runner: ProjectionRunner, database: Database
) -> None:
    await fill(store)
    newer = ProjectionRunner(database, store, OWNERS_2)
    await newer.catch_up()
    with pytest.raises(RuntimeError, match="logic version 2"):
        await runner.catch_up()


@pytest.mark.parametrize(
    ("name", "ddl"),
    [("x" * 60, "CREATE TABLE {table} ()"), ("a-b", "CREATE TABLE {table} ()"), ("a", "CREATE TABLE a ()")],
)
def test_a_table_that_could_not_be_rebuilt_is_refused(name: str, ddl: str) -> None:
    with pytest.raises(ValueError, match=r"identifier|ddl"):
        ReadTable(name, ddl)
