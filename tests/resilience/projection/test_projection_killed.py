"""A process killed between the read model and the checkpoint."""

import asyncio
import os
import signal
import sys

import pytest

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.eventstore import EventStore, NewEvent
from chassis.ids import SystemIds
from chassis.schema import EVENT_STORE_V1, PROJECTION_V1

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
    await ProjectionRunner(database, store, Projection("seen", (table,), apply, batch_size=10)).catch_up()
    await database.close()

arm_from_environment()
asyncio.run(main())
"""


async def project(dsn: str, point: str | None) -> int | None:
    environment = {
        "PYTHONPATH": os.pathsep.join(sys.path),
        **({"GREENLEDGER_CRASHPOINT": point} if point else {}),
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", PROGRAM, dsn, env=environment)
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
