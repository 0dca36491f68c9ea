"""What an operator sees of parked keys, and how he moves a key on."""

from typing import Any

import pytest
from google.protobuf.wrappers_pb2 import StringValue

from chassis.database import Transaction
from chassis.errors import DomainError
from chassis.inbox import Consumer, ReceivedEvent
from chassis.testing import eventually
from chassis.testing.messaging import TOPIC, MessagingWorld, raw_event, recorder, send_raw

pytestmark = pytest.mark.slow

ANN: dict[str, Any] = {"who": "ann", "why": "lost in a fire"}


def fails_on(poison: str) -> Any:
    record = recorder()

    async def handler(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        if event.payload.value == poison:
            raise ValueError("cannot digest")
        await record(event, tx)

    return handler


async def parked_consumer(messaging: MessagingWorld) -> Consumer:
    """One that has parked events 2, 3 and 4 of key k."""
    messaging.relay()
    consumer = messaging.consumer(fails_on("poison"))
    await messaging.publish("k", "1", "poison", "3", "4")

    async def three() -> bool:
        return len(await consumer.parked.list()) == 3

    await eventually(three, 15)
    return consumer


async def refusal(
    consumer: Consumer, key: str, sequence: int, *, source: str = "", topic: str = TOPIC
) -> str:
    with pytest.raises(DomainError) as refused:
        await consumer.parked.skip_to(topic, key, source, sequence, **ANN)
    return refused.value.reason


async def test_a_parked_key_shows_its_events_with_their_content(messaging: MessagingWorld) -> None:
    consumer = await parked_consumer(messaging)
    events, total = await consumer.parked.of_key(TOPIC, "k", limit=2)
    assert total == 3
    assert [(event.key_sequence, event.payload) for event in events] == [
        (2, StringValue(value="poison")),
        (3, StringValue(value="3")),
    ]
    assert (events[0].source, events[0].reason) == ("source", "ValueError: cannot digest")
    with pytest.raises(DomainError) as refused:
        await consumer.parked.of_key(TOPIC, "free")
    assert refused.value.reason == "PARKED_KEY_NOT_FOUND"


async def test_content_that_cannot_be_decoded_shows_as_nothing(messaging: MessagingWorld) -> None:
    await messaging.broker.ensure_topics([TOPIC])
    key, _, headers = raw_event("k", 1, "1")
    send_raw(messaging.bootstrap, (key, b"\xff\xff", {**headers, "event-id": "e"}))
    consumer = messaging.consumer()

    async def parked() -> bool:
        return bool(await consumer.parked.list())

    await eventually(parked, 15)
    ((event,), _) = await consumer.parked.of_key(TOPIC, "k")
    assert event.payload is None
    assert "not an event envelope" in event.reason


async def test_a_skip_within_a_parked_key_gives_up_what_comes_before_and_keeps_the_rest_parked(
    messaging: MessagingWorld,
) -> None:
    consumer = await parked_consumer(messaging)
    await consumer.parked.skip_to(TOPIC, "k", "", 3, **ANN)
    assert [event.key_sequence for event in await consumer.parked.list()] == [3, 4]
    assert (await consumer.status()).parked_keys == 1
    await consumer.parked.replay(TOPIC, "k", **ANN)
    await messaging.publish("k", "5")
    await messaging.quiet()
    assert await messaging.effects() == {"k": ["1", "3", "4", "5"]}
    audit = await messaging.db.fetch("SELECT subject, who, what FROM operator_action ORDER BY id LIMIT 1")
    assert tuple(audit[0]) == (f"inbox/sink/{TOPIC}/k", "ann", "skip to 3, giving up 1 parked events")


async def test_a_skip_beyond_all_parked_events_sets_the_key_free(messaging: MessagingWorld) -> None:
    consumer = await parked_consumer(messaging)
    await consumer.parked.skip_to(TOPIC, "k", "", 6, **ANN)
    assert (await consumer.status()).parked_keys == 0
    await messaging.publish("k", "5", "6")
    await messaging.quiet()
    assert await messaging.effects() == {"k": ["1", "6"]}


async def test_a_key_that_is_there_already_or_unknown_is_not_moved(messaging: MessagingWorld) -> None:
    consumer = await parked_consumer(messaging)
    assert await refusal(consumer, "k", 2) == "KEY_CANNOT_SKIP"
    assert await refusal(consumer, "unheard-of", 2) == "PARKED_KEY_NOT_FOUND"
    assert await refusal(consumer, "k", 9, topic="test.other") == "TOPIC_NOT_SUBSCRIBED"
    assert await messaging.db.fetchval("SELECT count(*) FROM operator_action") == 0
    assert len(await consumer.parked.list()) == 3


async def test_a_key_of_several_producers_is_moved_only_for_the_one_named(messaging: MessagingWorld) -> None:
    consumer = await parked_consumer(messaging)
    await messaging.db.execute("INSERT INTO inbox_key VALUES ('sink', $1, 'k', 'another', 7)", TOPIC)
    assert await refusal(consumer, "k", 9) == "SOURCE_AMBIGUOUS"
    await consumer.parked.skip_to(TOPIC, "k", "source", 9, **ANN)
    rows = await messaging.db.fetch("SELECT source, last_seq FROM inbox_key WHERE key = 'k' ORDER BY source")
    assert [tuple(row) for row in rows] == [("another", 7), ("source", 8)]
