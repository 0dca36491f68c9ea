"""An engine, its database and its participants."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, MutableMapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
import pytest_asyncio
from structlog.testing import capture_logs

from chassis.database import Database
from chassis.ids import SystemIds
from chassis.saga import Instance, Retry, Saga, SagaEngine
from chassis.saga.schema import SAGA_V1
from chassis.testing import eventually
from tests.integration.saga.participants import SCHEMA, LocalEffects, Participants

QUICK = Retry(attempts=3, first=timedelta(milliseconds=1), ceiling=timedelta(milliseconds=5))
"""Three attempts without noticeable waits."""


@asynccontextmanager
async def running(engine: SagaEngine) -> AsyncIterator[SagaEngine]:
    """The engine at work for the body of the `with` statement."""
    task = asyncio.create_task(engine.run())
    await eventually(lambda: engine.running or task.done(), interval_s=0.001)
    try:
        yield engine
    finally:
        await engine.stop()
        await asyncio.gather(task)


@dataclass
class World:
    """What a test of the engine needs at hand."""

    db: Database
    remote: Participants
    local: LocalEffects
    stack: AsyncExitStack

    def engine(self, *sagas: Saga, **settings: Any) -> SagaEngine:
        """An engine that polls often and is not running."""
        defaults = {"poll": timedelta(milliseconds=50)}
        return SagaEngine(self.db, sagas, rng=random.Random(1), **(defaults | settings))

    async def run(self, *sagas: Saga, **settings: Any) -> SagaEngine:
        """An engine that runs until the test ends."""
        return await self.stack.enter_async_context(running(self.engine(*sagas, **settings)))

    async def start(self, engine: SagaEngine, name: str = "order", **data: Any) -> str:
        """Start a saga in a transaction of its own."""
        saga_id = SystemIds().uuid7()
        async with self.db.transaction() as tx:
            await engine.start(tx, name, saga_id, data)
        return saga_id

    async def outcome(self, engine: SagaEngine, saga_id: str) -> Instance:
        """Its end, and its steps as they are recorded."""
        ended = await engine.outcome(saga_id, timedelta(seconds=20))
        recorded = await engine.operator.get(saga_id)
        assert (ended.state, ended.data) == (recorded.state, recorded.data)
        return recorded


@pytest.fixture(autouse=True)
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged; rendering the tracebacks of provoked faults would take longer than the sagas."""
    with capture_logs() as entries:
        yield entries


@pytest_asyncio.fixture
async def world(database: Database) -> AsyncIterator[World]:
    await database.execute(SAGA_V1)
    await database.execute(SCHEMA)
    other_pool = await Database.connect(database.dsn, 4)
    async with AsyncExitStack() as stack:
        yield World(database, Participants(other_pool), LocalEffects(database), stack)
    other_pool.terminate()
