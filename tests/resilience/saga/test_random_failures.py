"""Property over the real engine: failures at random steps end whole or not at all."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from chassis import crashpoints, errors
from chassis.database import Database
from chassis.saga import Direction, Retry, Saga, SagaEngine, State, Step, StepContext, StepRejected
from chassis.saga.schema import SAGA_V1
from chassis.testing import PostgresServer
from tests.integration.saga.conftest import running
from tests.integration.saga.participants import (
    SCHEMA,
    LocalEffects,
    Participants,
    local_effects,
    remote_effects,
)

pytestmark = pytest.mark.slow

QUICK = Retry(attempts=2, first=timedelta(milliseconds=1))
FOREVER = Retry(attempts=None, first=timedelta(milliseconds=1), ceiling=timedelta(milliseconds=4))
STEPS = ("place", "price", "reserve", "authorize", "capture", "confirm", "close", "ship")
LOCAL = ("place", "price", "confirm", "close")
PIVOT = STEPS.index("capture")
FAULTS = ("refuse", "unavailable", "bug", "lost_reply", "crash")


Faults = Mapping[tuple[str, str], list[str]]


class Troubled:
    """Wraps the participants with the faults that hypothesis chose: (step, direction) -> faults in turn."""

    def __init__(
        self, faults: Mapping[tuple[str, str], list[str]], local: LocalEffects, remote: Participants
    ):
        self._faults = {key: list(values) for key, values in faults.items()}
        self._local = local
        self._remote = remote

    async def act(self, context: StepContext) -> Mapping[str, Any] | None:
        fault = next(iter(self._faults.get((context.step, context.direction.value), [])), None)
        if fault is not None:
            self._faults[context.step, context.direction.value].pop(0)
        if fault == "crash":
            place = random.choice(("after_effect", "after_record"))
            crashpoints.arm(f"saga.order.{context.step}.{context.direction}.{place}:throw")
        if fault == "refuse" and self._may_refuse(context):
            raise StepRejected("NO", "no")
        if fault == "unavailable":
            raise errors.Unavailable("DOWN", "down")
        reply = await self._effect(context)
        if fault in ("bug", "lost_reply"):
            raise (
                ValueError("after the effect") if fault == "bug" else errors.DeadlineExceeded("LATE", "late")
            )
        return reply

    def _may_refuse(self, context: StepContext) -> bool:
        # A pivot without an undo answers the same key alike, and what follows the pivot must not refuse.
        if context.direction is Direction.UNDO or context.step in ("confirm", "close", "ship", "told"):
            return False
        return context.step != "capture" or context.attempt == 1

    async def _effect(self, context: StepContext) -> Mapping[str, Any] | None:
        if context.step in (*LOCAL, "told"):
            return await self._local.act(context)
        if context.direction is Direction.UNDO:
            await self._remote.undo(context)
            return None
        return await self._remote.act(context)


def order(troubled: Troubled) -> Saga:
    act = troubled.act
    undo_retry = Retry(attempts=8, first=timedelta(milliseconds=1))
    return Saga(
        "order",
        1,
        tuple(
            Step(
                name,
                act,
                undo=act if place < PIVOT else None,
                retry=QUICK if place < PIVOT else FOREVER,
                undo_retry=undo_retry,
                pivot=name == "capture",
                local=name in LOCAL,
            )
            for place, name in enumerate(STEPS)
        ),
        on_failed=Step("told", act, local=True, retry=FOREVER),
    )


def local_pairs(done: Sequence[str]) -> list[tuple[str, str]]:
    """What must be there of local steps that were done before the saga turned back."""
    return [(step, direction) for step in done if step != "told" for direction in ("action", "undo")]


_calls = st.tuples(st.sampled_from((*STEPS, "told")), st.sampled_from(("action", "undo")))
_faults = st.dictionaries(_calls, st.lists(st.sampled_from(FAULTS), min_size=1, max_size=3), max_size=6)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(faults=_faults)
def test_random_failures_at_random_steps_end_whole_or_not_at_all(postgres_server, faults):
    with capture_logs():  # printing the tracebacks of so many faults takes longer than the sagas
        asyncio.run(_run(postgres_server, faults))


async def _run(server: PostgresServer, faults: Faults) -> None:
    crashpoints.disarm()
    dsn = await server.create_database()
    db, other_pool = await Database.connect(dsn, 2), await Database.connect(dsn, 2)
    try:
        await db.execute(SAGA_V1)
        await db.execute(SCHEMA)
        saga = order(Troubled(faults, LocalEffects(db), Participants(other_pool)))
        quick = {"lease": timedelta(milliseconds=60), "poll": timedelta(milliseconds=10)}
        async with running(SagaEngine(db, [saga], **quick)) as engine:
            async with db.transaction() as tx:
                await engine.start(tx, "order", "s1", {})
            ended = await engine.outcome("s1", timedelta(seconds=20))
        local, remote = await local_effects(db, "s1"), await remote_effects(db, "s1")
    finally:
        db.terminate()
        other_pool.terminate()
        await server.drop_database(dsn)
    if ended.state is State.COMPLETED:
        assert local == [(step, "action") for step in sorted(LOCAL)]
        assert remote == dict.fromkeys(("reserve", "authorize", "capture", "ship"), "APPLIED")
    else:
        done = [step for step, direction in local if direction == "action"]
        assert local == sorted([*local_pairs(done), ("told", "action")])
        assert "APPLIED" not in remote.values()
