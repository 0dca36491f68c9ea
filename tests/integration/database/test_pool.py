"""The connection pool."""

import asyncio
from urllib.parse import urlsplit

import asyncpg
import pytest

from chassis.database import Database
from chassis.errors import Unavailable


async def test_no_more_connections_are_open_than_the_pool_is_large(database_dsn: str) -> None:
    database = await Database.connect(database_dsn, pool_size=3, application_name="bounded")
    open_now = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'bounded'"
    counts = await asyncio.gather(*(database.fetchval(open_now) for _ in range(50)))
    assert max(counts) <= 3
    await database.close()


async def test_closing_waits_for_who_is_at_work_and_refuses_who_comes_later(database_dsn: str) -> None:
    database = await Database.connect(database_dsn, pool_size=2)
    begun, go = asyncio.Event(), asyncio.Event()

    async def work() -> int:
        async with database.transaction() as tx:
            begun.set()
            await go.wait()
            return int(await tx.fetchval("SELECT 7"))

    worker = asyncio.create_task(work())
    await begun.wait()
    closing = asyncio.create_task(database.close())
    await asyncio.sleep(0)
    late = asyncio.create_task(database.fetchval("SELECT 1"))
    go.set()
    assert await worker == 7
    await closing
    with pytest.raises(Unavailable):
        await late
    with pytest.raises(Unavailable):
        await database.fetchval("SELECT 1")


async def test_a_caller_who_gives_up_waiting_takes_no_connection_with_it(database_dsn: str) -> None:
    database = await Database.connect(database_dsn, pool_size=1)
    async with database.transaction():
        waiting = asyncio.create_task(database.fetchval("SELECT 1"))
        await asyncio.sleep(0)
        waiting.cancel()
    assert await database.fetchval("SELECT 2") == 2
    await database.close()


async def test_idle_connections_that_the_server_cut_are_replaced(database_dsn: str) -> None:
    database = await Database.connect(database_dsn, pool_size=2, application_name="idle")
    await asyncio.gather(database.fetchval("SELECT pg_sleep(0.01)"), database.fetchval("SELECT 1"))
    other = await asyncpg.connect(database_dsn)
    await other.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'idle'"
    )
    await other.close()

    async def answers() -> None:
        # The first try may meet the server's farewell; the broken connection is not used again.
        for _ in range(3):
            try:
                assert await database.fetchval("SELECT 1") == 1
            except Unavailable:
                continue
            return
        raise AssertionError("the pool hands out broken connections")

    await answers()
    await database.close()


async def test_a_database_that_takes_no_connections_is_away_until_it_does(database_dsn: str) -> None:
    name = urlsplit(database_dsn).path.removeprefix("/")
    admin = await asyncpg.connect(urlsplit(database_dsn)._replace(path="/postgres").geturl())
    await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
    try:
        database = Database.later(database_dsn)
        with pytest.raises(Unavailable):
            await database.fetchval("SELECT 1")
    finally:
        await admin.execute(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')
        await admin.close()
    assert await database.fetchval("SELECT 1") == 1
    await database.close()
