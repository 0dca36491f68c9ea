"""Reading the outbox in one call: below the watermark, in order, and never past what is still uncommitted."""

import asyncio
import random

import asyncpg
import pytest

from chassis.database import Database
from chassis.errors import Unavailable
from chassis.outbox import OUTBOX_V1, Outbox, Shard
from chassis.outbox.rows import ALL, OutboxRows
from chassis.testing.messaging import publication

WRITERS, EACH = 8, 60


@pytest.fixture
async def db(database: Database) -> Database:
    await database.execute(OUTBOX_V1)
    return database


async def test_readers_miss_nothing_while_writers_commit_out_of_order(db: Database) -> None:
    outbox = Outbox("source")
    committed: set[str] = set()
    writing = True

    async def write(writer: int) -> None:
        for number in range(EACH):
            value = f"{writer}-{number}"
            try:
                async with db.transaction() as tx:
                    await outbox.publish(tx, [publication(f"k{value}", value)])
                    for _ in range(random.randrange(3)):
                        await tx.fetchval("SELECT 1")
                    if random.random() < 0.2:
                        raise Unavailable("DOWN", "changed my mind")
                committed.add(f"k{value}")
            except Unavailable:
                pass

    async def read() -> list[str]:
        connection, rows, seen = await asyncpg.connect(db.dsn), OutboxRows(ALL, 7), list[str]()
        cursor = 0
        try:
            while True:
                last = not writing
                batch = await rows.after(connection, cursor)
                assert batch.end >= cursor
                positions = [row["position"] for row in batch.rows]
                assert positions == sorted(positions)
                assert all(cursor < position <= batch.end for position in positions)
                seen += [row["key"] for row in batch.rows]
                cursor = batch.end
                if last and not batch.rows:
                    return seen
        finally:
            await connection.close()

    readers = [asyncio.create_task(read()) for _ in range(2)]
    await asyncio.gather(*(write(writer) for writer in range(WRITERS)))
    writing = False
    for seen in await asyncio.gather(*readers):
        assert len(seen) == len(set(seen))
        assert set(seen) == committed


async def test_what_an_open_transaction_holds_back_is_told_from_nothing(db: Database) -> None:
    outbox, rows = Outbox("source"), OutboxRows(ALL, 10)
    reader = await asyncpg.connect(db.dsn)
    try:
        assert not (await rows.after(reader, 0)).held_back
        async with db.transaction() as tx:
            await outbox.publish(tx, [publication("a", "1")])
            batch = await rows.after(reader, 0)
            assert (list(batch.rows), batch.end, batch.held_back) == ([], 0, True)
        batch = await rows.after(reader, 0)
        assert [row["key"] for row in batch.rows] == ["a"]
        assert not batch.full
        assert not (await rows.after(reader, batch.end)).held_back
    finally:
        await reader.close()


async def test_a_reader_without_rows_of_its_shard_still_moves_on(db: Database) -> None:
    async with db.transaction() as tx:
        await Outbox("source").publish(tx, [publication(f"k{n}", str(n)) for n in range(20)])
    shards = [OutboxRows(Shard(index, 2), 100) for index in range(2)]
    reader = await asyncpg.connect(db.dsn)
    try:
        batches = [await rows.after(reader, 0) for rows in shards]
        assert {batch.end for batch in batches} == {20}
        assert sorted(row["position"] for batch in batches for row in batch.rows) == list(range(1, 21))
        full = await OutboxRows(ALL, 5).after(reader, 0)
        assert (full.end, full.full) == (5, True)
    finally:
        await reader.close()
