"""SIGKILL at every crash point of every step: after a restart the saga ends, whole or not at all, once."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from chassis import crashpoints
from chassis.database import Database
from chassis.saga import ENGINE_CRASHPOINTS, Direction, State, crashpoints_of
from chassis.saga.schema import SAGA_V1
from tests.integration.saga.conftest import running
from tests.integration.saga.participants import (
    SCHEMA,
    LocalEffects,
    Participants,
    local_effects,
    remote_effects,
)
from tests.resilience.saga.program import engine_of, order

pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[3]
_NOBODY: Any = None
POINTS = crashpoints_of(order(LocalEffects(_NOBODY), Participants(_NOBODY), "commit"))


def reached(scenario: str) -> list[str]:
    """The points that a run of the scenario passes, whichever step it ends with."""
    if scenario == "commit":
        return [p for p in POINTS if ".action." in p and ".told." not in p]
    return [p for p in POINTS if ".confirm." not in p and ".ship." not in p]


def both_ways(step: str) -> list[tuple[str, str]]:
    """A local step that was done and undone."""
    return [(step, "action"), (step, "undo")]


CASES = [
    *(("commit", point) for point in reached("commit")),
    *(("refuse", point) for point in reached("refuse")),
    *zip(("commit", "queued"), ENGINE_CRASHPOINTS, strict=True),
]


@pytest_asyncio.fixture
async def db(database: Database) -> AsyncIterator[Database]:
    await database.execute(SAGA_V1)
    await database.execute(SCHEMA)
    yield database


async def crash(dsn: str, scenario: str, point: str) -> None:
    """Run the program until it kills itself at the point."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.resilience.saga.program", dsn, "s1", scenario),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": f"{ROOT}", crashpoints.VARIABLE: point},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == -signal.SIGKILL, f"{point} was not reached:\n{output.decode()}"


def test_the_matrix_has_every_point_of_the_saga():
    assert {point for _, point in CASES} == {*POINTS, *ENGINE_CRASHPOINTS}


@pytest.mark.parametrize(("scenario", "point"), CASES, ids=[f"{s}-{p}" for s, p in CASES])
async def test_a_killed_engine_leaves_a_saga_that_its_successor_ends_once(db, scenario, point):
    await crash(db.dsn, scenario, point)
    other_pool = await Database.connect(db.dsn)
    try:
        async with running(engine_of(db, other_pool, scenario)) as engine:
            ended = await engine.outcome("s1", timedelta(seconds=20))
    finally:
        other_pool.terminate()
    remote, local = await remote_effects(db, "s1"), await local_effects(db, "s1")
    if scenario == "refuse":
        assert ended.state is State.COMPENSATED
        assert ended.failure is not None
        assert ended.failure.reason == "CARD_DECLINED"
        assert remote == {"reserve": "UNDONE", "authorize": "UNDONE"}
        assert local == [*both_ways("place"), *both_ways("price"), ("told", "action")]
    else:
        assert ended.state is State.COMPLETED
        assert remote == dict.fromkeys(("reserve", "authorize", "capture", "ship"), "APPLIED")
        assert local == [("confirm", "action"), ("place", "action"), ("price", "action")]


async def test_an_engine_killed_again_and_again_at_one_step_gives_up_and_undoes(db):
    for _ in range(5):
        await crash(db.dsn, "commit", "saga.order.reserve.action.after_effect")
    other_pool = await Database.connect(db.dsn)
    try:
        async with running(engine_of(db, other_pool, "commit")) as engine:
            ended = await engine.outcome("s1", timedelta(seconds=20))
    finally:
        other_pool.terminate()
    assert ended.state is State.COMPENSATED
    assert ended.failure is not None
    assert ended.failure.reason == "STEP_INTERRUPTED"
    assert ended.records["reserve", Direction.ACTION].attempts == 5
    assert await remote_effects(db, "s1") == {"reserve": "UNDONE"}


async def test_a_run_without_a_crash_point_ends_by_itself(db):
    other_pool = await Database.connect(db.dsn)
    saga = order(LocalEffects(db), Participants(other_pool), "commit")
    assert len(crashpoints_of(saga)) == 36
    try:
        async with running(engine_of(db, other_pool, "commit")) as engine:
            async with db.transaction() as tx:
                await engine.start(tx, "order", "s1", {})
            assert (await engine.outcome("s1", timedelta(seconds=20))).state is State.COMPLETED
    finally:
        other_pool.terminate()
