"""pytest fixtures for the broker; they need those of `chassis.testing.plugin`."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from chassis.testing.broker import BrokerServer
from chassis.testing.messaging import MessagingWorld


@pytest.fixture
def broker_server() -> Iterator[BrokerServer]:
    """An empty broker for one test; it starts in milliseconds."""
    server = BrokerServer()
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest_asyncio.fixture
async def messaging(database_dsn: str, broker_server: BrokerServer) -> AsyncIterator[MessagingWorld]:
    """Database, broker, outbox and recorders of effects."""
    world = MessagingWorld(database_dsn, broker_server.bootstrap)
    await world.open()
    yield world
    await world.close()
