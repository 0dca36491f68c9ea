"""Readers that poll while writers commit out of order miss nothing and see no stream backwards."""

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest_asyncio

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.errors import Aborted, Unavailable
from chassis.eventstore import EventStore, NewEvent
from chassis.ids import SystemIds
from chassis.schema import EVENT_STORE_V1
from chassis.testing.history import Entry, judge

WRITERS, STREAMS, READERS, ATTEMPTS = 16, 30, 3, 120
EVENT = NewEvent("counted", 1, {})

Read = Callable[[int], Awaitable[tuple[list[Entry], int]]]
"""From a cursor: what lies beyond it, and the next cursor."""


@dataclass
class Tally:
    committed: int = 0
    rolled_back: int = 0
    conflicts: int = 0
    killed: int = 0


class RollBackError(Exception):
    """A writer changed its mind."""


@pytest_asyncio.fixture
async def writing(database_dsn: str) -> AsyncIterator[Database]:
    database = await Database.connect(database_dsn, pool_size=WRITERS, application_name="writer")
    await database.execute(EVENT_STORE_V1)
    yield database
    database.terminate()


@pytest_asyncio.fixture
async def reading(database_dsn: str, writing: Database) -> AsyncIterator[Database]:
    database = await Database.connect(database_dsn, pool_size=READERS + 1, application_name="reader")
    yield database
    database.terminate()


def watermark(store: EventStore) -> Read:
    async def read(cursor: int) -> tuple[list[Entry], int]:
        page = await store.read_page(cursor, limit=50)
        entries = [Entry(event.position, event.stream_id, event.version) for event in page.events]
        return entries, page.position

    return read


def naive(database: Database) -> Read:
    async def read(cursor: int) -> tuple[list[Entry], int]:
        entries = [entry for entry in await everything(database) if entry.position > cursor]
        return entries, max([cursor, *(entry.position for entry in entries)])

    return read


async def everything(database: Database) -> list[Entry]:
    rows = await database.fetch("SELECT position, stream_id, version FROM event ORDER BY position")
    return [Entry(*row) for row in rows]


async def attempt(database: Database, store: EventStore, dice: random.Random) -> None:
    """One transaction over one or two streams that commits late, or not at all."""
    async with database.transaction() as tx:
        # Sorted, so that two writers wait for one another and do not deadlock.
        for stream in sorted(dice.sample(range(STREAMS), dice.choice([1, 1, 2]))):
            name = f"stream-{stream}"
            version = await tx.fetchval(
                "SELECT coalesce(max(version), 0) FROM event WHERE stream_id = $1", name
            )
            await store.append(name, version, [EVENT] * dice.choice([1, 1, 3]))
            await asyncio.sleep(dice.choice([0, 0.001, 0.01]))
        if dice.random() < 0.2:
            raise RollBackError


async def write(database: Database, store: EventStore, dice: random.Random, tally: Tally) -> None:
    for _ in range(ATTEMPTS):
        try:
            await attempt(database, store, dice)
            tally.committed += 1
        except RollBackError:
            tally.rolled_back += 1
        except (Aborted, Unavailable):
            tally.conflicts += 1


async def kill_writers(database: Database, tally: Tally) -> None:
    while True:
        tally.killed += await database.fetchval(
            """
            SELECT count(pg_terminate_backend(pid)) FROM (
                SELECT pid FROM pg_stat_activity
                WHERE application_name = 'writer' AND datname = current_database() AND xact_start IS NOT NULL
                ORDER BY random() LIMIT 1
            ) AS victim
            """
        )
        await asyncio.sleep(0.03)


async def follow(read: Read, head: Callable[[], Awaitable[int]], writers_done: asyncio.Event) -> list[Entry]:
    seen: list[Entry] = []
    cursor = 0
    while not (writers_done.is_set() and cursor >= await head()):
        entries, cursor = await read(cursor)
        seen += entries
        await asyncio.sleep(0)
    return seen


async def test_under_rollbacks_and_killed_backends_no_event_is_missed_and_no_stream_inverted(
    writing: Database, reading: Database
) -> None:
    store = EventStore(writing, SystemClock(), SystemIds())
    reader = EventStore(reading, SystemClock(), SystemIds())
    tally, done = Tally(), asyncio.Event()
    killer = asyncio.create_task(kill_writers(reading, tally))
    readers = [asyncio.create_task(follow(watermark(reader), reader.head, done)) for _ in range(READERS)]
    await asyncio.gather(*(write(writing, store, random.Random(n), tally) for n in range(WRITERS)))
    killer.cancel()
    done.set()
    histories = await asyncio.gather(*readers)

    assert min(tally.committed, tally.rolled_back, tally.conflicts, tally.killed) > 0, tally
    committed = await everything(reading)
    for seen in histories:
        assert judge(committed, seen).faults == 0, tally


async def test_a_reader_by_position_alone_misses_what_commits_late_and_the_watermark_does_not(
    writing: Database, reading: Database
) -> None:
    """The same events and the same judge, in the one order that matters: the fault can be seen."""
    store = EventStore(writing, SystemClock(), SystemIds())
    by_position, by_watermark = naive(reading), watermark(EventStore(reading, SystemClock(), SystemIds()))
    written, go = asyncio.Event(), asyncio.Event()

    async def slow() -> None:
        async with writing.transaction():
            await store.append("slow", 0, [EVENT])
            written.set()
            await go.wait()

    task = asyncio.create_task(slow())
    await written.wait()
    await store.append("quick", 0, [EVENT])
    early = [await by_position(0), await by_watermark(0)]
    go.set()
    await task
    late = [await by_position(early[0][1]), await by_watermark(early[1][1])]

    committed = await everything(reading)
    verdicts = [judge(committed, early[n][0] + late[n][0]) for n in (0, 1)]
    assert [entry.stream for entry in verdicts[0].missed] == ["slow"]
    assert verdicts[1].faults == 0
