"""The outbox: events exist exactly when their transaction does, numbered without gaps per key."""

import asyncio
import random
from collections import defaultdict
from contextlib import suppress
from dataclasses import replace

import pytest

from chassis import context
from chassis.context import Principal, RequestContext
from chassis.database import Database
from chassis.errors import Aborted
from chassis.ids import SystemIds
from chassis.outbox import OUTBOX_V1, OUTBOX_V1_DROP, Outbox
from chassis.testing.messaging import publication
from greenledger.events.v1.event_pb2 import Event


@pytest.fixture
async def db(database: Database) -> Database:
    await database.execute(OUTBOX_V1)
    return database


async def test_tables_can_be_dropped_and_made_again(db: Database) -> None:
    await db.execute(OUTBOX_V1_DROP)
    await db.execute(OUTBOX_V1)


async def test_a_rolled_back_transaction_leaves_no_event_and_no_hole_in_the_sequence(db: Database) -> None:
    outbox = Outbox("source")
    with suppress(ZeroDivisionError):
        async with db.transaction() as tx:
            await outbox.publish(tx, [publication("k", "lost")])
            raise ZeroDivisionError
    async with db.transaction() as tx:
        await outbox.publish(tx, [publication("k", "kept")])
    rows = await db.fetch("SELECT key, key_seq FROM outbox")
    assert [tuple(row) for row in rows] == [("k", 1)]


async def test_commit_is_announced_and_rollback_is_not(db: Database) -> None:
    announced = []
    outbox = Outbox("source", on_commit=lambda: announced.append(1))
    with suppress(ZeroDivisionError):
        async with db.transaction() as tx:
            await outbox.publish(tx, [publication("k", "lost")])
            raise ZeroDivisionError
    assert not announced
    async with db.transaction() as tx:
        await outbox.publish(tx, [publication("k", "kept")])
        assert not announced
    assert announced


async def test_an_event_may_have_the_id_of_what_it_tells(db: Database) -> None:
    fact_id = SystemIds().uuid7()
    async with db.transaction() as tx:
        told = [replace(publication("k", "v"), event_id=fact_id), publication("k", "w")]
        first, second = await Outbox("source").publish(tx, told)
    assert first == fact_id != second
    row = await db.fetchrow("SELECT message_id, payload FROM outbox ORDER BY position LIMIT 1")
    assert row is not None
    assert (str(row["message_id"]), Event.FromString(row["payload"]).event_id) == (fact_id, fact_id)


async def test_the_envelope_tells_who_and_why(db: Database) -> None:
    cause = RequestContext(
        request_id="r",
        correlation_id="c",
        causation_id="x",
        principal=Principal("ann", "user"),
        traceparent="00-t",
    )
    with context.use(cause):
        async with db.transaction() as tx:
            (event_id,) = await Outbox("source").publish(tx, [publication("k", "v")])
    event = Event.FromString(await db.fetchval("SELECT payload FROM outbox"))
    assert event.event_id == event_id
    assert (event.actor, event.correlation_id, event.causation_id) == ("ann", "c", "x")
    assert (event.traceparent, event.producer, event.type) == ("00-t", "source", "test.happened")
    assert event.HasField("occurred_time")


async def test_an_event_without_a_key_is_refused(db: Database) -> None:
    async with db.transaction() as tx:
        with pytest.raises(ValueError, match="key"):
            await Outbox("source").publish(tx, [publication("", "v")])


async def test_concurrent_writers_number_each_key_without_gaps_and_in_the_order_of_positions(
    db: Database,
) -> None:
    outbox, chance = Outbox("source"), random.Random(1)
    plans = [[chance.choice("abcde") for _ in range(chance.randint(1, 6))] for _ in range(200)]

    async def write(keys: list[str], fail: bool) -> None:
        try:
            async with db.transaction() as tx:
                await outbox.publish(tx, [publication(key, "v") for key in keys])
                await asyncio.sleep(0)
                if fail:
                    raise ZeroDivisionError
        except (ZeroDivisionError, Aborted):
            pass

    await asyncio.gather(*(write(keys, number % 5 == 0) for number, keys in enumerate(plans)))
    sequences = defaultdict(list)
    for row in await db.fetch("SELECT key, key_seq FROM outbox ORDER BY position"):
        sequences[row["key"]].append(row["key_seq"])
    assert sum(map(len, sequences.values())) == sum(len(keys) for n, keys in enumerate(plans) if n % 5)
    for found in sequences.values():
        assert found == list(range(1, len(found) + 1))
