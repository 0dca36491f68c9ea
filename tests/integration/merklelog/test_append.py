"""A leaf is appended in the transaction of its event."""

import asyncio
import random

import pytest

from chassis.clock import SystemClock
from chassis.database import Database, TransactionFailedError
from chassis.errors import Aborted, InvalidArgument
from chassis.eventstore import EventStore, NewEvent
from chassis.ids import SystemIds
from chassis.merklelog.leaf import event_leaf
from chassis.merklelog.tree import Frontier, leaf_hash
from chassis.schema import EVENT_STORE_V1, MERKLE_LOG_V1, MERKLE_LOG_V2
from chassis.testing import rolled_back
from tests.integration.merklelog.conftest import EVENT, Logged, logged_store

WRITERS, ATTEMPTS = 16, 12


async def log_is_exactly_the_events(logged: Logged) -> int:
    """Each event has one leaf, leaves are contiguous, hashes and nodes are those of the definition."""
    events = {event.event_id: event for event in await logged.store.read_all(0, 100_000)}
    leaves = await logged.log.leaves(0, 100_000, 100_000)
    assert [leaf.index for leaf in leaves] == list(range(len(events)))
    assert {leaf.event_id for leaf in leaves} == set(events)
    assert all(leaf.hash == leaf_hash(event_leaf(events[leaf.event_id])) for leaf in leaves)
    expected: dict[tuple[int, int], bytes] = {}
    frontier = Frontier(lambda level, index, digest: expected.update({(level, index): digest}))
    frontier.extend(leaf.hash for leaf in leaves)
    rows = await logged.database.fetch("SELECT * FROM log_node")
    assert {(row["level"], row["node_index"]): row["hash"] for row in rows} == expected
    assert await logged.log.root(len(events)) == frontier.root()
    return len(events)


async def test_each_event_gets_a_leaf_in_the_order_of_the_transaction(logged: Logged):
    first = await logged.store.append("lot-1", 0, [EVENT])
    async with logged.database.transaction():
        second = await logged.store.append("lot-2", 0, [EVENT, EVENT, EVENT])
        third = await logged.append("lot-3", "lot-4")
        assert await logged.log.size() == 1  # appended with the commit, not before
    leaves = await logged.log.leaves(0, 10, 10)
    assert [leaf.event_id for leaf in leaves] == [event.event_id for event in [*first, *second, *third]]
    assert await log_is_exactly_the_events(logged) == 6


@pytest.mark.parametrize("seed", range(3))
async def test_nodes_are_those_of_the_definition_whatever_the_batches(logged: Logged, seed: int):
    dice, number = random.Random(seed), 0
    for _ in range(25):
        count = dice.choice([1, 1, 2, 3, 7, 33])
        await logged.append(*(f"s-{n}" for n in range(number, number + count)))
        number += count
    assert await log_is_exactly_the_events(logged) == number


async def test_what_is_rolled_back_leaves_no_leaf(logged: Logged):
    async with rolled_back(logged.database.transaction()):
        await logged.append("lot-1")
    assert await logged.log.size() == 0


async def test_what_a_savepoint_undid_leaves_no_leaf(logged: Logged):
    async with logged.database.transaction() as tx:
        await logged.append("lot-1")
        async with rolled_back(tx.savepoint()):
            await logged.append("lot-2")
        await logged.append("lot-3")
    assert await log_is_exactly_the_events(logged) == 2


async def test_a_swallowed_failure_is_no_commit_and_no_leaf(logged: Logged):
    async def swallow() -> None:
        async with logged.database.transaction() as tx:
            await logged.append("lot-1")
            with pytest.raises(Exception, match="division"):
                await tx.execute("SELECT 1/0")

    with pytest.raises(TransactionFailedError):
        await swallow()
    assert await logged.log.size() == 0
    assert await logged.store.read_all(0) == []


async def test_when_the_log_refuses_nothing_is_committed(logged: Logged):
    await logged.append("lot-1", "lot-2")
    await logged.database.execute("DELETE FROM log_leaf WHERE leaf_index = 0; DELETE FROM log_node")
    await logged.database.execute("INSERT INTO log_node VALUES (1, 1, sha256('a'))")
    await logged.append("lot-3")
    with pytest.raises(Exception, match="log_node_pkey"):
        await logged.append("lot-4")
    assert [event.stream_id for event in await logged.store.read_all(0)] == ["lot-1", "lot-2", "lot-3"]


async def test_an_event_without_canonical_form_is_refused_whole(logged: Logged):
    with pytest.raises(InvalidArgument, match="celsius"):
        await logged.store.append("lot-1", 0, [EVENT, NewEvent("measured", 1, {"celsius": 4.5})])
    assert await logged.store.read_all(0) == []


async def test_an_id_in_another_form_is_the_same_id(logged: Logged):
    given = "0190A3C2000070008000-00000000000A"
    await logged.store.append("lot-1", 0, [NewEvent("counted", 1, {}, event_id=given)])
    assert await logged.log.find("0190a3c2-0000-7000-8000-00000000000a") is not None


async def test_events_that_were_there_before_the_log_are_adopted_once(database: Database):
    await database.execute(EVENT_STORE_V1)
    before = EventStore(database, SystemClock(), SystemIds())
    for number in range(5):
        await before.append(f"lot-{number}", 0, [EVENT])
    await database.execute(MERKLE_LOG_V1)
    await database.execute(MERKLE_LOG_V2)
    logged = logged_store(database)
    await logged.log.adopt()
    assert await logged.log.size() == 5
    await logged.append("lot-5")
    assert await log_is_exactly_the_events(logged) == 6
    # Whoever slips an event past the log does not get it adopted by a restart.
    await before.append("lot-6", 0, [EVENT])
    await logged.log.adopt()
    assert await logged.log.size() == 6
    report = await logged.audit()
    assert [finding.kind for finding in report.findings] == ["extra"]


async def test_under_concurrent_writers_every_committed_event_has_one_leaf_and_no_other_has(
    database_dsn: str,
):
    database = await Database.connect(database_dsn, pool_size=WRITERS)
    try:
        await database.execute(EVENT_STORE_V1)
        await database.execute(MERKLE_LOG_V1)
        await database.execute(MERKLE_LOG_V2)
        logged = logged_store(database)
        barrier = asyncio.Barrier(WRITERS)
        committed = sum(await asyncio.gather(*(write(logged, seed, barrier) for seed in range(WRITERS))))
        assert committed > ATTEMPTS
        assert await log_is_exactly_the_events(logged) == committed
    finally:
        database.terminate()


class ChangedMindError(Exception):
    """A writer rolls back."""


async def write(logged: Logged, seed: int, barrier: asyncio.Barrier) -> int:
    """Transactions over streams that all writers share, some rolled back; returns the committed events."""
    dice, committed = random.Random(seed), 0
    await barrier.wait()
    for _ in range(ATTEMPTS):
        try:
            committed += await attempt(logged, dice)
        except (ChangedMindError, Aborted):
            continue
    return committed


async def attempt(logged: Logged, dice: random.Random) -> int:
    appended = 0
    async with logged.database.transaction() as tx:
        # Any order: row locks may meet in a circle, but never with the log's lock in it.
        for stream in dice.sample(range(8), 2):
            name = f"stream-{stream}"
            version = await tx.fetchval(
                "SELECT coalesce(max(version), 0) FROM event WHERE stream_id = $1", name
            )
            appended += len(await logged.store.append(name, version, [EVENT] * dice.choice([1, 1, 3])))
        if dice.random() < 0.2:
            raise ChangedMindError
    return appended
