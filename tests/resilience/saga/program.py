"""A process that runs one saga and may be killed at any of its crash points.

Usage: python -m tests.resilience.saga.program DSN SAGA_ID SCENARIO
"""

import asyncio
import sys
from datetime import timedelta

from chassis.crashpoints import arm_from_environment
from chassis.database import Database
from chassis.saga import Retry, Saga, SagaEngine, Step, StepContext, StepRejected
from tests.integration.saga.conftest import running
from tests.integration.saga.participants import LocalEffects, Participants

LEASE = timedelta(milliseconds=500)
QUICK = Retry(attempts=5, first=timedelta(milliseconds=5))


async def _refuse(_context: StepContext) -> None:
    raise StepRejected("CARD_DECLINED", "the card was declined")


def order(local: LocalEffects, remote: Participants, scenario: str) -> Saga:
    """Local and remote steps on both sides of the pivot; `refuse` lets the pivot be declined."""
    capture = _refuse if scenario == "refuse" else remote.act
    return Saga(
        "order",
        1,
        (
            Step("place", local.act, undo=local.act, local=True),
            Step("price", local.act, undo=local.act, local=True),
            Step("reserve", remote.act, undo=remote.undo, retry=QUICK),
            Step("authorize", remote.act, undo=remote.undo, retry=QUICK),
            Step("capture", capture, pivot=True),
            Step("confirm", local.act, local=True),
            Step("ship", remote.act),
        ),
        on_failed=Step("told", local.act, local=True),
    )


def engine_of(db: Database, other_pool: Database, scenario: str) -> SagaEngine:
    """The engine that both the victim and its successor run."""
    saga = order(LocalEffects(db), Participants(other_pool), scenario)
    return SagaEngine(db, [saga], lease=LEASE, poll=timedelta(milliseconds=50))


async def main(dsn: str, saga_id: str, scenario: str) -> None:
    """Start the saga and wait for its end."""
    db, other_pool = await Database.connect(dsn), await Database.connect(dsn)
    engine = engine_of(db, other_pool, scenario)
    if scenario == "queued":
        async with db.transaction() as tx:
            await engine.start(tx, "order", saga_id, {})
    async with running(engine):
        async with db.transaction() as tx:
            await engine.start(tx, "order", saga_id, {})
        print((await engine.outcome(saga_id, timedelta(seconds=20))).state)


if __name__ == "__main__":
    arm_from_environment()
    asyncio.run(main(*sys.argv[1:]))
