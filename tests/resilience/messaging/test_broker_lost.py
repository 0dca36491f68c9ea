"""The broker forgets everything while events flow: nothing is lost and nothing takes effect twice."""

import asyncio

import pytest
from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from chassis.broker import INCARNATION_TOPIC
from chassis.errors import Unavailable
from chassis.testing import eventually
from chassis.testing.broker import BrokerServer
from chassis.testing.messaging import TOPIC, MessagingWorld, batch_recorder, raw_event, read_topic, send_raw

pytestmark = pytest.mark.slow


async def _count_is(messaging: MessagingWorld, count: int) -> bool:
    found = await messaging.count()
    return found >= count


def _expected(count: int, keys: int) -> dict[str, list[str]]:
    return {f"k{key}": [str(n) for n in range(count) if n % keys == key] for key in range(keys)}


@pytest.mark.parametrize("batches", [False, True], ids=["one at a time", "set-based"])
async def test_a_broker_wiped_twice_mid_run_loses_and_doubles_nothing(
    messaging: MessagingWorld, broker_server: BrokerServer, batches: bool
) -> None:
    messaging.relay()
    messaging.consumer(**({"batch_handler": batch_recorder()} if batches else {}))
    for number in range(600):
        await messaging.publish(f"k{number % 11}", str(number))
        if number == 100:
            await eventually(lambda: _count_is(messaging, 50), 20)
        if number in (200, 400):
            broker_server.wipe()
        if number == 400:
            await eventually(lambda: _count_is(messaging, 250), 20)
    await eventually(lambda: _count_is(messaging, 600), 40)
    await messaging.quiet()
    assert await messaging.effects() == _expected(600, 11)


async def test_a_broker_refilled_while_the_consumer_was_away_is_read_from_its_beginning(
    messaging: MessagingWorld, broker_server: BrokerServer
) -> None:
    relay = messaging.relay()
    consumer = messaging.consumer()
    for number in range(50):
        await messaging.publish(f"k{number % 5}", str(number))
    await eventually(lambda: _count_is(messaging, 50), 20)
    await messaging.stop(consumer)
    for number in range(50, 100):
        await messaging.publish(f"k{number % 5}", str(number))
    await messaging.stop(relay)
    broker_server.wipe()
    messaging.relay()
    for number in range(100, 150):
        await messaging.publish(f"k{number % 5}", str(number))

    async def refilled() -> bool:
        cursor = await messaging.db.fetchval("SELECT max(position) FROM relay_cursor WHERE epoch = 1")
        return bool(cursor == 150)

    await eventually(refilled, 20)
    messaging.consumer()
    await eventually(lambda: _count_is(messaging, 150), 20)
    await messaging.quiet()
    assert await messaging.effects() == _expected(150, 5)


async def test_an_offset_committed_beyond_what_was_applied_is_noticed_and_healed(
    messaging: MessagingWorld,
) -> None:
    messaging.relay()
    for number in range(20):
        await messaging.publish(f"k{number % 4}", str(number))

    async def sent() -> bool:
        return bool(await messaging.db.fetchval("SELECT max(position) = 20 FROM relay_cursor"))

    await eventually(sent, 20)
    life = await messaging.broker.incarnation()
    await asyncio.to_thread(_commit_ends, messaging.bootstrap, f"sink.{life}")
    messaging.consumer()
    for number in range(20, 24):
        await messaging.publish(f"k{number % 4}", str(number))
    await eventually(lambda: _count_is(messaging, 24), 20)
    await messaging.quiet()
    assert await messaging.effects() == _expected(24, 4)


def _commit_ends(bootstrap: str, group: str) -> None:
    client = KafkaConsumer({"bootstrap.servers": bootstrap, "group.id": group, "log_level": 2})
    try:
        partitions = client.list_topics(TOPIC, timeout=5).topics[TOPIC].partitions
        ends = []
        for partition in partitions:
            _, end = client.get_watermark_offsets(TopicPartition(TOPIC, partition), timeout=5)
            ends.append(TopicPartition(TOPIC, partition, end))
        client.commit(offsets=ends, asynchronous=False)
    finally:
        client.close()


async def test_relay_and_consumer_started_before_the_broker_wait_for_it(
    messaging: MessagingWorld, broker_server: BrokerServer
) -> None:
    broker_server.halt()
    messaging.relay()
    messaging.consumer()
    await messaging.publish("k", "1")
    with pytest.raises(Unavailable):
        await messaging.broker.incarnation(0)
    broker_server.start()
    await eventually(lambda: _count_is(messaging, 1), 30)
    assert await messaging.effects() == {"k": ["1"]}


async def test_a_broker_that_hangs_for_a_while_is_waited_for(
    messaging: MessagingWorld, broker_server: BrokerServer
) -> None:
    messaging.relay()
    messaging.consumer()
    await messaging.publish("k", "1")
    await eventually(lambda: _count_is(messaging, 1), 20)
    broker_server.freeze()
    try:
        await messaging.publish("k", "2")
        with pytest.raises(Unavailable):
            await messaging.broker.incarnation(0)
    finally:
        broker_server.thaw()
    await messaging.publish("k", "3")
    await eventually(lambda: _count_is(messaging, 3), 30)
    assert await messaging.effects() == {"k": ["1", "2", "3"]}


async def test_the_incarnation_is_one_for_all_and_a_new_one_after_a_wipe(
    messaging: MessagingWorld, broker_server: BrokerServer
) -> None:
    other = MessagingWorld(messaging.dsn, messaging.bootstrap)
    await other.open(create=False)
    try:
        both = await asyncio.gather(messaging.broker.incarnation(0), other.broker.incarnation(0))
        assert both[0] == both[1]
        broker_server.wipe()
        again = await eventually(lambda: messaging.broker.incarnation(0), 15, ignore=(Unavailable,))
        assert again != both[0]
        assert again == await eventually(lambda: other.broker.incarnation(0), 15, ignore=(Unavailable,))
    finally:
        await other.close()


async def test_another_incarnation_makes_consumers_read_and_relays_send_everything_again(
    messaging: MessagingWorld,
) -> None:
    relay = messaging.relay()
    messaging.consumer()
    await messaging.publish("k", "1", "2")
    await eventually(lambda: _count_is(messaging, 2), 20)
    await messaging.quiet()
    await messaging.stop(relay)
    before = await messaging.broker.incarnation()
    # The records and the group's offsets are still there: only the id changes. With the positions gone
    # too, a second application shows that all was read again.
    await messaging.db.execute("UPDATE inbox_key SET last_seq = 0")
    await asyncio.to_thread(_forget_incarnation, messaging.bootstrap)

    async def changed() -> bool:
        return await messaging.broker.incarnation(0) != before

    await eventually(changed, 20, ignore=(Unavailable,))
    await eventually(lambda: _count_is(messaging, 4), 20)
    assert await messaging.effects() == {"k": ["1", "2", "1", "2"]}

    messaging.relay()

    async def resent() -> bool:
        events = await asyncio.to_thread(read_topic, messaging.bootstrap)
        return [event.key_sequence for event in events] == [1, 2, 1, 2]

    await eventually(resent, 20)
    await messaging.quiet()
    assert await messaging.count() == 4


def _forget_incarnation(bootstrap: str) -> None:
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 2})
    for deleted in admin.delete_topics([INCARNATION_TOPIC]).values():
        deleted.result(10)


async def test_stopping_does_not_wait_for_a_broker_that_is_gone(
    messaging: MessagingWorld, broker_server: BrokerServer
) -> None:
    relay = messaging.relay()
    consumer = messaging.consumer()
    await messaging.publish("k", "1")
    await eventually(lambda: _count_is(messaging, 1), 20)
    broker_server.halt()
    # What must not happen is waiting for ever; librdkafka takes its time on a busy machine.
    async with asyncio.timeout(60):
        await messaging.stop(consumer)
        await messaging.stop(relay)


async def test_records_that_came_in_the_wrong_order_are_put_right_by_the_key_sequence(
    messaging: MessagingWorld,
) -> None:
    # As if a sender had not noticed a wipe at once: a late event first, the refill behind it.
    await messaging.broker.ensure_topics([TOPIC])
    send_raw(messaging.bootstrap, *(raw_event("k", n, str(n)) for n in (5, 6, 1, 2, 3, 4, 5, 6)))
    messaging.consumer()
    await eventually(lambda: _count_is(messaging, 6), 20)
    await messaging.quiet()
    assert await messaging.effects() == {"k": ["1", "2", "3", "4", "5", "6"]}
