"""PostgreSQL crashes while events flow: relay and consumer wait, nothing is parked, lost or doubled."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from chassis.errors import Aborted, Unavailable
from chassis.testing import PostgresServer, eventually
from chassis.testing.broker import BrokerServer
from chassis.testing.messaging import MessagingWorld, publication

pytestmark = pytest.mark.slow


@pytest.fixture
async def server() -> AsyncIterator[PostgresServer]:
    server = PostgresServer()
    try:
        await asyncio.to_thread(server.start)
        yield server
    finally:
        server.stop()


async def test_postgresql_crashing_mid_run_loses_and_doubles_nothing(
    server: PostgresServer, broker_server: BrokerServer
) -> None:
    messaging = MessagingWorld(await server.create_database(), broker_server.bootstrap)
    await messaging.open()
    try:
        await messaging.db.execute("CREATE TABLE wish (value text PRIMARY KEY)")
        relay = messaging.relay()
        consumer = messaging.consumer()
        for number in range(300):
            await _publish_once(messaging, f"k{number % 7}", str(number))
            if number == 50:
                await eventually(lambda: _applied(messaging, 20), 20)
            if number in (100, 200):
                server.restart()
        await eventually(lambda: _applied(messaging, 300), 40)
        await messaging.quiet()
        assert await messaging.effects() == {
            f"k{key}": [str(n) for n in range(300) if n % 7 == key] for key in range(7)
        }
        assert (await consumer.status()).parked_keys == 0
        assert (await relay.lag()).rows == 0
    finally:
        await messaging.close()


async def _publish_once(messaging: MessagingWorld, key: str, value: str) -> None:
    async def attempt() -> bool:
        # A commit whose answer was lost may have happened: the wish tells.
        async with messaging.db.transaction() as tx:
            if await tx.execute("INSERT INTO wish VALUES ($1) ON CONFLICT DO NOTHING", value) == "INSERT 0 1":
                await messaging.outbox.publish(tx, [publication(key, value)])
        return True

    await eventually(attempt, 20, ignore=(Unavailable, Aborted))


async def _applied(messaging: MessagingWorld, count: int) -> bool:
    try:
        return await messaging.count() >= count
    except Unavailable:
        return False
