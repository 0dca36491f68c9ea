"""The relay: what is committed reaches the broker, in order, from one leader."""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import asyncpg
import pytest

from chassis.errors import Unavailable
from chassis.outbox import Relay, Shard
from chassis.outbox import relay as relay_module
from chassis.outbox.sender import Sender
from chassis.testing import eventually
from chassis.testing.broker import BrokerServer
from chassis.testing.messaging import TOPIC, MessagingWorld, publication, read_topic
from greenledger.events.v1.event_pb2 import Event

pytestmark = pytest.mark.slow


async def sent(messaging: MessagingWorld) -> bool:
    row = await messaging.db.fetchrow(
        "SELECT (SELECT max(position) FROM outbox) AS top, (SELECT max(position) FROM relay_cursor) AS cursor"
    )
    return row is not None and row["top"] is not None and row["top"] == row["cursor"]


def by_key(events: list[Event]) -> dict[str, list[int]]:
    sequences = defaultdict(list)
    for event in events:
        sequences[event.aggregate_id].append(event.key_sequence)
    return sequences


async def test_committed_events_arrive_in_order_with_their_facts_and_rolled_back_ones_never(
    messaging: MessagingWorld,
) -> None:
    messaging.relay()
    with suppress(ZeroDivisionError):
        async with messaging.db.transaction() as tx:
            await messaging.outbox.publish(tx, [publication("a", "lost")])
            raise ZeroDivisionError
    await messaging.publish("a", "1", "2")
    await messaging.publish("b", "1")
    await messaging.publish("a", "3")
    await eventually(lambda: sent(messaging))
    events = await asyncio.to_thread(read_topic, messaging.bootstrap)
    assert by_key(events) == {"a": [1, 2, 3], "b": [1]}
    ids = {str(row["message_id"]) for row in await messaging.db.fetch("SELECT message_id FROM outbox")}
    assert {event.event_id for event in events} == ids


async def test_an_event_waits_for_the_open_transaction_before_it(messaging: MessagingWorld) -> None:
    messaging.relay()
    await messaging.publish("first", "1")
    await eventually(lambda: sent(messaging))
    async with messaging.db.transaction() as slow:
        await messaging.outbox.publish(slow, [publication("slow", "1")])
        await asyncio.create_task(messaging.publish("quick", "1"))
        lag = await asyncio.create_task(messaging.relays[0].lag())  # outside this transaction
        assert lag.rows == 1
    await eventually(lambda: sent(messaging))
    events = await asyncio.to_thread(read_topic, messaging.bootstrap)
    assert by_key(events) == {"first": [1], "slow": [1], "quick": [1]}


async def test_more_than_a_batch_is_sent_in_several(messaging: MessagingWorld) -> None:
    for number in range(5):
        await messaging.publish(f"k{number}", *map(str, range(50)))
    messaging.relay(batch_size=40)
    await eventually(lambda: sent(messaging))
    events = await asyncio.to_thread(read_topic, messaging.bootstrap)
    assert by_key(events) == {f"k{number}": list(range(1, 51)) for number in range(5)}


async def test_shards_share_the_keys(messaging: MessagingWorld) -> None:
    messaging.relay(shard=Shard(0, 2))
    messaging.relay(shard=Shard(1, 2))
    for number in range(20):
        await messaging.publish(f"k{number}", "1", "2")

    async def all_there() -> bool:
        return len(await asyncio.to_thread(read_topic, messaging.bootstrap)) >= 40

    await eventually(all_there)
    events = await asyncio.to_thread(read_topic, messaging.bootstrap)
    assert by_key(events) == {f"k{number}": [1, 2] for number in range(20)}


async def test_one_relay_leads_and_when_it_dies_the_other_goes_on(messaging: MessagingWorld) -> None:
    first = messaging.relay()
    await eventually(lambda: first.leading)
    second = messaging.relay()
    await messaging.publish("k", "1", "2")
    await eventually(lambda: sent(messaging))
    assert not second.leading
    await messaging.kill(first)
    await messaging.publish("k", "3")
    await eventually(lambda: sent(messaging))
    assert second.leading
    assert by_key(await asyncio.to_thread(read_topic, messaging.bootstrap)) == {"k": [1, 2, 3]}


async def test_a_relay_that_was_superseded_cannot_move_the_cursor(messaging: MessagingWorld) -> None:
    relay = messaging.relay()
    await messaging.publish("k", "1")
    await eventually(lambda: sent(messaging))
    epoch = await messaging.db.fetchval("UPDATE relay_cursor SET epoch = epoch + 10 RETURNING epoch")
    await messaging.publish("k", "2")
    # It notices, claims anew with a higher epoch and sends again: doubled on the broker, never lost.
    await eventually(lambda: sent(messaging))
    assert await messaging.db.fetchval("SELECT epoch FROM relay_cursor") > epoch
    assert by_key(await asyncio.to_thread(read_topic, messaging.bootstrap)) == {"k": [1, 2, 2]}
    assert relay.leading


async def test_a_batch_on_its_way_is_finished_when_an_operator_moves_the_cursor(
    messaging: MessagingWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    relay = messaging.relay()
    await messaging.publish("k", "1")
    await eventually(lambda: sent(messaging))
    on_its_way, go_on, abandoned, looks = asyncio.Event(), asyncio.Event(), [], []
    send, look = relay._sender.send, relay_module.epoch_of

    async def slow_send(rows: Sequence[asyncpg.Record]) -> None:
        on_its_way.set()
        await go_on.wait()
        await send(rows)

    async def counted_look(*cursor: Any) -> int:
        looks.append(cursor)
        return await look(*cursor)

    monkeypatch.setattr(relay._sender, "send", slow_send)
    monkeypatch.setattr(relay._sender, "abandon", lambda: abandoned.append(True))
    monkeypatch.setattr(relay_module, "epoch_of", counted_look)
    await messaging.publish("k", "2")
    await on_its_way.wait()
    await messaging.db.execute("UPDATE relay_cursor SET position = 0, epoch = epoch + 1")
    before = len(looks)
    await eventually(lambda: len(looks) >= before + 3)  # the first of them may have begun before the move
    assert not abandoned
    go_on.set()
    await eventually(lambda: sent(messaging))
    assert by_key(await asyncio.to_thread(read_topic, messaging.bootstrap)) == {"k": [1, 2, 1, 2]}


async def test_an_emptied_broker_gets_everything_again_under_the_same_ids(
    messaging: MessagingWorld, broker_server: BrokerServer
) -> None:
    messaging.relay()
    await messaging.publish("k", "1", "2", "3")
    await eventually(lambda: sent(messaging))
    before = await asyncio.to_thread(read_topic, messaging.bootstrap)
    broker_server.wipe()
    await messaging.publish("k", "4")

    async def refilled() -> bool:
        return len(await asyncio.to_thread(read_topic, messaging.bootstrap)) >= 4

    await eventually(refilled, 20, ignore=(AssertionError, Exception))
    after = await asyncio.to_thread(read_topic, messaging.bootstrap)
    assert after[:3] == before
    assert by_key(after) == {"k": [1, 2, 3, 4]}


async def test_stopping_sends_what_is_committed(messaging: MessagingWorld) -> None:
    relay = messaging.relay(poll_s=60)
    await eventually(lambda: relay.leading)
    for number in range(300):
        await messaging.publish("k", str(number))
    await messaging.stop(relay)
    assert await sent(messaging)
    assert by_key(await asyncio.to_thread(read_topic, messaging.bootstrap)) == {"k": list(range(1, 301))}


async def test_a_standby_wakes_the_leader_elsewhere(messaging: MessagingWorld) -> None:
    leader = messaging.relay(poll_s=60)
    await eventually(lambda: leader.leading)
    standby = Relay(messaging.db, messaging.broker, "source")
    running = asyncio.create_task(standby.run())
    messaging.relays.clear()
    # Nobody wakes the leader in this process, and its poll is a minute away.
    for number in range(3):
        await messaging.publish("k", str(number))
        await eventually(lambda: _woken(messaging, standby))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


async def _woken(messaging: MessagingWorld, standby: Relay) -> bool:
    standby.wake()
    return await sent(messaging)


async def test_lag_counts_what_the_broker_has_not_confirmed(messaging: MessagingWorld) -> None:
    relay = Relay(messaging.db, messaging.broker, "source")
    assert (await relay.lag()).rows == 0
    await messaging.publish("k", "1", "2")
    lag = await relay.lag()
    assert lag.rows == 2
    assert lag.seconds > 0
    messaging.relay()
    await eventually(lambda: sent(messaging))
    assert (await relay.lag()).rows == 0


async def test_what_a_wiped_broker_will_not_confirm_is_not_waited_for(
    messaging: MessagingWorld, broker_server: BrokerServer
) -> None:
    sender = Sender(messaging.broker, "alone")
    await messaging.broker.ensure_topics([TOPIC])
    await sender.open()
    await messaging.publish("a", "1")
    rows = await messaging.db.fetch("SELECT * FROM outbox")
    broker_server.freeze()
    try:
        sending = asyncio.create_task(sender.send(rows))

        async def given_up() -> bool:
            sender.abandon()
            return sending.done()

        await eventually(given_up)  # by itself it would wait longer
        with pytest.raises(Unavailable, match="another life"):
            await sending
    finally:
        broker_server.thaw()
    await sender.open()
    await sender.send(rows)
    await sender.close()
    assert by_key(await asyncio.to_thread(read_topic, messaging.bootstrap)) == {"a": [1]}
