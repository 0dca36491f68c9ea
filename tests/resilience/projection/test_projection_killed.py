"""A process killed between the read model and the checkpoint, also while it builds anew."""

import asyncio
import os
import signal
import sys

import pytest

from chassis.audit import Order
from chassis.clock import SystemClock
from chassis.database import Database
from chassis.eventstore import EventStore, NewEvent
from chassis.ids import SystemIds
from chassis.projection import Projection, ProjectionOperator, ProjectionRunner, ReadTable
from chassis.schema import AUDIT_V1, EVENT_STORE_V1, PROJECTION_V1

PROGRAM = """
import asyncio, sys
from chassis.clock import SystemClock
from chassis.crashpoints import arm_from_environment
from chassis.database import Database
from chassis.eventstore import EventStore
from chassis.ids import SystemIds
from chassis.projection import Projection, ProjectionRunner, ReadTable

async def apply(events, tables, tx):
    await tx.executemany(f"INSERT INTO {tables['seen']} VALUES ($1)", [(event.position,) for event in events])

async def main():
    database = await Database.connect(sys.argv[1])
    store = EventStore(database, SystemClock(), SystemIds())
    table = ReadTable("seen", "CREATE TABLE {table} (position bigint)")
    runner = ProjectionRunner(database, store, Projection("seen", (table,), apply, batch_size=10))
    if sys.argv[2] == "build":
        while await runner.rebuilding.step():
            pass
    else:
        await runner.catch_up()
    await database.close()

arm_from_environment()
asyncio.run(main())
"""


async def project(dsn: str, point: str | None, what: str = "follow") -> int | None:
    environment = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        **({"GREENLEDGER_CRASHPOINT": point} if point else {}),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, dsn, what, env=environment)
    return await process.wait()


@pytest.mark.parametrize("point", ["projection.applied", "projection.checkpointed"])
async def test_a_projection_killed_around_its_checkpoint_applies_each_event_once(
    database: Database, point: str
) -> None:
    await database.execute(EVENT_STORE_V1 + PROJECTION_V1 + "CREATE TABLE seen (position bigint)")
    store = EventStore(database, SystemClock(), SystemIds())
    await store.append("lot-1", 0, [NewEvent("lot.weighed", 1, {})] * 35)
    for hit in (1, 2):
        assert await project(database.dsn, f"{point}:kill@{hit}") == -signal.SIGKILL
    assert await database.fetchval("SELECT count(*) FROM seen") == 10
    assert await project(database.dsn, None) == 0
    rows = await database.fetch("SELECT position FROM seen ORDER BY position")
    assert [row["position"] for row in rows] == list(range(1, 36))


@pytest.mark.parametrize(
    "point", ["projection.applied", "projection.checkpointed", "projection.rebuild.batch"]
)
async def test_a_rebuild_that_an_operator_began_goes_on_after_its_process_was_killed(
    database: Database, point: str
) -> None:
    await database.execute(EVENT_STORE_V1 + PROJECTION_V1 + AUDIT_V1 + "CREATE TABLE seen (position bigint)")
    store = EventStore(database, SystemClock(), SystemIds())
    await store.append("lot-1", 0, [NewEvent("lot.weighed", 1, {})] * 35)
    assert await project(database.dsn, None) == 0
    table = ReadTable("seen", "CREATE TABLE {table} (position bigint)")

    async def nothing(*_: object) -> None:
        """Only the killed processes apply."""

    runner = ProjectionRunner(database, store, Projection("seen", (table,), nothing, batch_size=10))
    operator = ProjectionOperator(database, [runner], SystemClock())
    await operator.rebuild("seen", Order("ann", "a test"))
    assert await project(database.dsn, f"{point}:kill@2", "build") == -signal.SIGKILL
    building = (await operator.get("seen")).building
    assert building is not None
    assert 0 < building.position < 35
    assert await project(database.dsn, None, "build") == 0
    swapped = await operator.swap("seen", Order("ann", "a test"))
    assert (swapped.live and swapped.live.version, swapped.building) == (2, None)
    rows = await database.fetch("SELECT position FROM seen ORDER BY position")
    assert [row["position"] for row in rows] == list(range(1, 36))
