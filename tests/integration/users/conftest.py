"""Users with a real database and saga engine, and the other services in memory."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest_asyncio

from chassis.clock import SystemClock
from chassis.context import Principal
from chassis.database import Database
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from chassis.saga import Instance, SagaEngine
from chassis.testing import PostgresServer, eventually
from chassis.wakeup import Watchers
from services.users.adapters.db import PostgresUsers
from services.users.adapters.kafka import UserEvents
from services.users.adapters.sagas import EngineRegistrations
from services.users.application.profiles import DeleteUser, ProfileQueries, UpdateUser
from services.users.application.register import Register, Registration
from services.users.application.registration_saga import RegistrationSteps
from services.users.domain.user import Preferences, User
from tests.integration.users.fakes import FakeCredentials, FakeMessages

PASSWORD = "green tomatoes 42"


def asked(**changes: Any) -> Registration:
    """A registration under a new request_id."""
    facts: dict[str, Any] = {
        "request_id": str(uuid.uuid4()),
        "email": "ada@example.org",
        "display_name": "Ada",
        "role": "guest",
        "preferences": Preferences(order_updates=True, language="en"),
    }
    return Registration(**(facts | changes))


def person(user_id: str, *permissions: str) -> Principal:
    """A caller."""
    return Principal(user_id, "user", permissions=frozenset(permissions))


@dataclass
class Process:
    """One process of the service: what a crash takes away."""

    register: Register
    engine: SagaEngine
    task: asyncio.Task[None] | None = None

    def crash(self) -> None:
        """Die without any goodbye."""
        assert self.task is not None
        self.task.cancel()


@dataclass
class World:
    """The database, the other services, and processes of users."""

    database: Database
    stack: AsyncExitStack
    credentials: FakeCredentials = field(default_factory=FakeCredentials)
    messages: FakeMessages = field(default_factory=FakeMessages)

    def __post_init__(self) -> None:
        self.changes = Watchers()
        self.users = PostgresUsers(self.database, self.changes)
        self.events = UserEvents(self.database, Outbox("users"))
        clock = SystemClock()
        self.queries = ProfileQueries(self.users)
        self.update = UpdateUser(self.database, self.users, self.events, clock)
        self.delete = DeleteUser(self.database, self.users, self.events, clock)

    def process(self) -> Process:
        """A process that is not at work yet."""
        clock = SystemClock()
        steps = RegistrationSteps(self.users, self.credentials, self.messages, self.events, clock)
        engine = SagaEngine(
            self.database,
            [steps.saga()],
            lease=timedelta(milliseconds=400),
            poll=timedelta(milliseconds=30),
        )
        sagas = EngineRegistrations(self.database, engine)
        register = Register(
            self.database, self.users, self.changes, self.credentials, sagas, clock, SystemIds()
        )
        return Process(register, engine)

    async def running(self) -> Process:
        """A process at work until the test ends."""
        process = self.process()
        process.task = asyncio.create_task(process.engine.run())
        self.stack.push_async_callback(_end, process)
        await eventually(lambda: process.engine.running, interval_s=0.001)
        return process

    async def ended(self, process: Process, user_id: str) -> Instance:
        """The saga's end."""
        return await process.engine.outcome(user_id, timedelta(seconds=20))

    async def register(self, process: Process, **changes: Any) -> User:
        """Register and wait for the end, the welcome message included."""
        user = await process.register(asked(**changes), PASSWORD)
        await self.ended(process, user.user_id)
        return user


async def _end(process: Process) -> None:
    assert process.task is not None
    if not process.task.done():
        await process.engine.stop()
    await asyncio.gather(process.task, return_exceptions=True)


@pytest_asyncio.fixture
async def world(postgres_server: PostgresServer) -> AsyncIterator[World]:
    async with postgres_server.connected("users") as database, AsyncExitStack() as stack:
        yield World(database, stack)


@pytest_asyncio.fixture
async def process(world: World) -> Process:
    return await world.running()
