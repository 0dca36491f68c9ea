"""The consumer: each event once in effect, in order per key, with bounds on what is in flight."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from chassis import context
from chassis.context import RequestContext
from chassis.database import Transaction
from chassis.errors import Unavailable
from chassis.inbox import INBOX_V1, INBOX_V1_DROP, Consumer, ParkedEvent, ReceivedEvent, Subscription
from chassis.testing import eventually
from chassis.testing.messaging import (
    QUICK,
    TOPIC,
    Handler,
    MessagingWorld,
    batch_recorder,
    publication,
    raw_event,
    recorder,
    send_raw,
)
from greenledger.events.v1.event_pb2 import Event

pytestmark = pytest.mark.slow

record = recorder()


async def test_tables_can_be_dropped_and_made_again(messaging: MessagingWorld) -> None:
    await messaging.db.execute(INBOX_V1_DROP)
    await messaging.db.execute(INBOX_V1)


async def test_duplicates_and_late_events_leave_each_effect_once_and_in_order(
    messaging: MessagingWorld,
) -> None:
    await messaging.broker.ensure_topics([TOPIC])
    arrivals = [1, 2, 2, 1, 5, 3, 4, 3, 5, 6, 1, 8, 6, 7, 9]
    send_raw(messaging.bootstrap, *(raw_event("k", number, str(number)) for number in arrivals))
    send_raw(messaging.bootstrap, *(raw_event("other", number, str(number)) for number in (1, 2, 3)))
    messaging.consumer()
    await eventually(lambda: _is(messaging, 12), 20)
    assert await messaging.effects() == {"k": list("123456789"), "other": list("123")}


async def test_a_gap_holds_its_key_and_no_other_until_the_missing_event_comes(
    messaging: MessagingWorld,
) -> None:
    await messaging.broker.ensure_topics([TOPIC])
    send_raw(messaging.bootstrap, raw_event("k", 1, "1"), raw_event("k", 3, "3"), raw_event("o", 1, "1"))
    messaging.consumer()
    await eventually(lambda: _is(messaging, 2))
    # Whole rewinds pass without it being accepted.
    position = "SELECT last_seq FROM inbox_key WHERE key = 'k'"
    assert await messaging.db.fetchval(position) == 1
    send_raw(messaging.bootstrap, raw_event("o", 2, "2"))
    await eventually(lambda: _is(messaging, 3))
    assert await messaging.db.fetchval(position) == 1
    send_raw(messaging.bootstrap, raw_event("k", 2, "2"))
    await eventually(lambda: _is(messaging, 5), 15)
    assert await messaging.effects() == {"k": ["1", "2", "3"], "o": ["1", "2"]}


async def test_an_operator_can_move_a_key_past_events_that_nobody_has(messaging: MessagingWorld) -> None:
    await messaging.broker.ensure_topics([TOPIC])
    send_raw(messaging.bootstrap, raw_event("k", 4, "4"), raw_event("k", 5, "5"))
    consumer = messaging.consumer()
    await consumer.parked.skip_to(TOPIC, "k", "source", 4, who="ann", why="lost in a fire")
    await eventually(lambda: _is(messaging, 2), 15)
    assert await messaging.effects() == {"k": ["4", "5"]}
    assert await messaging.db.fetchval("SELECT who FROM operator_action") == "ann"


async def test_a_poison_event_parks_its_key_alone_and_replay_resumes_in_order(
    messaging: MessagingWorld,
) -> None:
    healed = False

    async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        await record(event, tx)
        if event.payload.value == "poison" and not healed:
            raise ValueError("cannot digest")

    messaging.relay()
    consumer = messaging.consumer(handler)
    await messaging.publish("bad", "1", "poison", "3")
    await messaging.publish("good", "1", "2")
    await eventually(lambda: _is(messaging, 3), 15)
    await messaging.publish("bad", "4")
    await messaging.publish("good", "3")
    await eventually(lambda: _is(messaging, 4))
    parked = await eventually(lambda: _parked(consumer, 3))
    assert [event.key_sequence for event in parked] == [2, 3, 4]
    assert (parked[0].reason, parked[0].attempts) == ("ValueError: cannot digest", 1)
    assert await messaging.effects() == {"bad": ["1"], "good": ["1", "2", "3"]}
    assert (await consumer.status()).parked_keys == 1

    with pytest.raises(Exception, match="cannot digest"):
        await consumer.parked.replay(TOPIC, "bad", who="ann", why="hope")
    assert (await consumer.parked.list())[0].attempts == 2

    healed = True
    assert await consumer.parked.replay(TOPIC, "bad", who="ann", why="fixed") == 3
    await messaging.publish("bad", "5")
    await eventually(lambda: _is(messaging, 8))
    assert (await messaging.effects())["bad"] == ["1", "poison", "3", "4", "5"]
    assert (await consumer.status()).parked_keys == 0
    audit = await messaging.db.fetch("SELECT what, why FROM operator_action ORDER BY id")
    assert [tuple(row) for row in audit] == [("replay", "hope"), ("replay", "fixed")]


async def test_a_discarded_event_frees_those_behind_it_for_replay(messaging: MessagingWorld) -> None:
    messaging.relay()
    consumer = messaging.consumer(_fails_on("poison"))
    await messaging.publish("k", "poison", "2")
    first, second = await eventually(lambda: _parked(consumer, 2), 15)
    with pytest.raises(Exception, match="first"):
        await consumer.parked.discard(TOPIC, "k", second.event_id, who="ann", why="no")
    await consumer.parked.discard(TOPIC, "k", first.event_id, who="ann", why="test order")
    assert await consumer.parked.replay(TOPIC, "k", who="ann", why="go on") == 1
    assert await messaging.effects() == {"k": ["2"]}


async def test_a_record_that_cannot_be_read_parks_its_key_with_the_reason(messaging: MessagingWorld) -> None:
    await messaging.broker.ensure_topics([TOPIC])
    broken = ("k", b"\xff\xff", {"key-seq": "1", "producer": "source", "event-id": "e1"})
    send_raw(messaging.bootstrap, broken, raw_event("k", 2, "2"), ("k", b"\xff", {}), raw_event("o", 1, "1"))
    consumer = messaging.consumer()
    parked = await eventually(lambda: _parked(consumer, 3), 15)
    reasons = {event.key_sequence: event.reason for event in parked}
    assert reasons[1] == "The record is not an event envelope."
    assert reasons[0] == "The record is not an event envelope."
    await eventually(lambda: _is(messaging, 1))
    assert await messaging.effects() == {"o": ["1"]}


async def test_no_more_than_the_bound_is_in_flight_and_partitions_pause_and_resume(
    messaging: MessagingWorld,
) -> None:
    gate, seen = asyncio.Event(), 0

    async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        nonlocal seen
        seen = max(seen, consumer.in_flight)
        await gate.wait()
        await record(event, tx)

    for number in range(50):
        await messaging.publish(f"k{number}", *map(str, range(10)))
    messaging.relay()
    consumer = messaging.consumer(handler)
    await eventually(lambda: consumer.paused, 15)
    assert consumer.in_flight == 100
    gate.set()
    await eventually(lambda: _is(messaging, 500), 20)
    assert seen == 100
    await eventually(lambda: not consumer.paused)
    assert await messaging.effects() == {f"k{n}": list(map(str, range(10))) for n in range(50)}


async def test_a_handler_slower_than_its_limit_is_tried_again_and_then_parked(
    messaging: MessagingWorld,
) -> None:
    async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        await record(event, tx)
        if event.payload.value == "slow":
            await asyncio.sleep(60)

    messaging.relay()
    consumer = messaging.consumer(handler, settings=replace(QUICK, event_timeout_s=0.1, max_attempts=3))
    await messaging.publish("slow", "slow", "2")
    await messaging.publish("quick", "1")
    (first, _) = await eventually(lambda: _parked(consumer, 2), 15)
    assert first.reason == "TimeoutError: it took longer than its time limit"
    assert first.attempts == 3
    assert await messaging.effects() == {"quick": ["1"]}


async def test_a_passing_failure_blocks_only_its_key_and_is_retried(messaging: MessagingWorld) -> None:
    failures = 5

    async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        nonlocal failures
        await record(event, tx)
        if event.aggregate_id == "late" and failures:
            failures -= 1
            raise Unavailable("PEER_UNAVAILABLE", "later")

    messaging.relay()
    consumer = messaging.consumer(handler)
    await messaging.publish("late", "1", "2")
    await messaging.publish("other", "1")
    await eventually(lambda: _is(messaging, 3), 15)
    assert await messaging.effects() == {"late": ["1", "2"], "other": ["1"]}
    assert (await consumer.status()).parked_keys == 0


async def test_what_a_handler_publishes_is_part_of_its_effect_and_carries_the_cause(
    messaging: MessagingWorld,
) -> None:
    tries = 0

    async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        nonlocal tries
        if event.aggregate_id == "cause":
            await messaging.outbox.publish(tx, [publication("effect", event.payload.value)])
            tries += 1
            if tries == 1:
                raise Unavailable("PEER_UNAVAILABLE", "once more")
        await record(event, tx)

    messaging.relay()
    messaging.consumer(handler)
    with context.use(RequestContext(request_id="r", correlation_id="c", traceparent="00-trace")):
        await messaging.publish("cause", "1")
    await eventually(lambda: _is(messaging, 2), 15)
    rows = await messaging.db.fetch("SELECT payload FROM outbox ORDER BY position")
    cause, effect = (Event.FromString(row["payload"]) for row in rows)
    assert (effect.correlation_id, effect.causation_id) == ("c", cause.event_id)
    assert effect.traceparent == "00-trace"


async def test_a_batch_handler_gets_many_events_and_a_poison_one_among_them_is_found(
    messaging: MessagingWorld,
) -> None:
    sizes = []
    write = batch_recorder()

    async def batch(events: Sequence[ReceivedEvent[StringValue]], tx: Transaction) -> None:
        sizes.append(len(events))
        await write(events, tx)
        if any(event.payload.value == "poison" for event in events):
            raise ValueError("not this one")

    for number in range(200):
        await messaging.publish(f"k{number % 20}", "poison" if number == 105 else str(number))
    messaging.relay()
    consumer = messaging.consumer(_fails_on("poison"), batch_handler=batch)
    await eventually(lambda: _is(messaging, 195), 15)
    assert max(sizes) > 1
    assert len(await eventually(lambda: _parked(consumer, 5))) == 5
    for key, values in (await messaging.effects()).items():
        expected = [str(number) for number in range(200) if f"k{number % 20}" == key]
        assert values == (expected[:5] if key == "k5" else expected)


async def test_lag_falls_to_nothing_when_all_is_applied(messaging: MessagingWorld) -> None:
    messaging.relay()
    gate = asyncio.Event()

    async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        await gate.wait()
        await record(event, tx)

    consumer = messaging.consumer(handler)
    await messaging.publish("k", "1", "2")
    await eventually(lambda: _lag(consumer, 2), 15)
    gate.set()
    await eventually(lambda: _lag(consumer, 0))
    status = await consumer.status()
    assert (status.in_flight, status.lag_s) == (0, 0)
    assert status.partitions > 0


async def test_after_a_stop_the_group_goes_on_where_it_was(messaging: MessagingWorld) -> None:
    messaging.relay()
    consumer = messaging.consumer()
    await messaging.publish("k", "1", "2")
    await eventually(lambda: _is(messaging, 2), 15)
    await messaging.stop(consumer)
    seen = []

    async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        seen.append(event.key_sequence)
        await record(event, tx)

    # Even without memory of what was applied, nothing comes again: the offsets were committed.
    await messaging.db.execute("UPDATE inbox_key SET last_seq = 0")
    await messaging.publish("fresh", "1")
    messaging.consumer(handler)
    await eventually(lambda: _is(messaging, 3), 15)
    assert seen == [1]


def test_a_topic_cannot_be_subscribed_to_twice(messaging: MessagingWorld) -> None:
    to = Subscription(TOPIC, StringValue, record)
    with pytest.raises(ValueError, match="twice"):
        Consumer(messaging.db, messaging.broker, "sink", [to, to])


def _fails_on(value: str) -> Handler:
    async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        await record(event, tx)
        if event.payload.value == value:
            raise ValueError("cannot digest")

    return handler


async def _is(messaging: MessagingWorld, count: int) -> bool:
    found = await messaging.count()
    assert found <= count, f"{found} effects, more than {count}"
    return found == count


async def _parked(consumer: Consumer, count: int) -> list[ParkedEvent]:
    parked = await consumer.parked.list()
    return parked if len(parked) == count else []


async def _lag(consumer: Consumer, lag: int) -> bool:
    return (await consumer.status()).lag == lag and (await consumer.status()).partitions > 0
