"""An operator sends the outbox again: in order, as far as asked, and consumers apply nothing twice."""

import asyncio

import pytest

from chassis.audit import Order, actions
from chassis.clock import SystemClock
from chassis.errors import FailedPrecondition
from chassis.outbox import OutboxOperator, OutboxPosition, Publication
from chassis.testing import eventually
from chassis.testing.messaging import TOPIC, MessagingWorld, publication, read_topic

pytestmark = pytest.mark.slow

OTHER = "test.other"
ANN = Order("ann", "the broker lost a disk")


@pytest.fixture
def operator(messaging: MessagingWorld) -> OutboxOperator:
    return OutboxOperator(messaging.db, SystemClock())


async def sent_all(operator: OutboxOperator) -> OutboxPosition:
    at = await operator.position()
    assert at.position == at.head, at
    assert not at.resending
    return at


async def values(messaging: MessagingWorld, topic: str = TOPIC) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for event in await asyncio.to_thread(read_topic, messaging.bootstrap, topic):
        found.setdefault(event.aggregate_id, []).append(event.key_sequence)
    return found


async def publish_both(messaging: MessagingWorld, key: str, count: int) -> None:
    async with messaging.db.transaction() as tx:
        one = publication(key, "x")
        other = Publication(OTHER, key, one.payload, "thing")
        await messaging.outbox.publish(tx, [one, other] * count)


async def test_all_is_sent_again_in_order_and_applied_once(
    messaging: MessagingWorld, operator: OutboxOperator
) -> None:
    messaging.relay(batch_size=3)
    messaging.consumer()
    await messaging.publish("a", *"1234567")
    await messaging.publish("b", "1", "2")
    await messaging.quiet()
    before = await eventually(lambda: sent_all(operator))

    begun = await operator.resend("", ANN)
    assert (begun.position, begun.resend and begun.resend.until) == (0, before.position)
    assert begun.epoch == before.epoch + 1
    await messaging.publish("a", "8")
    after = await eventually(lambda: sent_all(operator))
    assert after.epoch > begun.epoch
    again = await values(messaging)
    # Event 8 may have left before the relay noticed; then it comes twice, and in its place.
    assert again["a"] in ([*range(1, 8), *range(1, 9)], [*range(1, 9), *range(1, 9)])
    assert again["b"] == [1, 2, 1, 2]
    await messaging.quiet()
    assert await messaging.effects() == {"a": list("12345678"), "b": ["1", "2"]}
    (line,) = await actions(messaging.db, "outbox")
    assert (line.who, line.what, line.why) == ("ann", "resend all topics", "the broker lost a disk")


async def test_a_resend_of_one_topic_leaves_the_others_alone(
    messaging: MessagingWorld, operator: OutboxOperator
) -> None:
    messaging.relay(batch_size=2)
    await publish_both(messaging, "a", 5)
    await eventually(lambda: sent_all(operator))
    await operator.resend(OTHER, ANN)
    at = await eventually(lambda: sent_all(operator))
    assert at.resend is not None
    assert (at.resend.topic, at.resend.until) == (OTHER, 10)
    await publish_both(messaging, "a", 1)
    await eventually(lambda: sent_all(operator))
    assert await values(messaging) == {"a": [1, 2, 3, 4, 5, 6]}
    assert await values(messaging, OTHER) == {"a": [1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6]}


async def test_a_resend_ends_also_where_its_last_row_is_not_the_last_sent(
    messaging: MessagingWorld, operator: OutboxOperator
) -> None:
    messaging.relay(batch_size=2)
    await publish_both(messaging, "a", 1)
    await messaging.publish("a", "2", "3", "4")
    await eventually(lambda: sent_all(operator))
    await operator.resend(OTHER, ANN)
    await eventually(lambda: sent_all(operator))
    await eventually(lambda: operator.resend(TOPIC, ANN))
    await eventually(lambda: sent_all(operator))
    assert await values(messaging) == {"a": [1, 2, 3, 4, 1, 2, 3, 4]}


async def test_a_resend_outlives_the_relay_and_can_be_cancelled(
    messaging: MessagingWorld, operator: OutboxOperator
) -> None:
    relay = messaging.relay()
    await messaging.publish("a", "1", "2")
    await eventually(lambda: sent_all(operator))
    await messaging.stop(relay)
    await operator.resend("", ANN)
    with pytest.raises(FailedPrecondition) as refused:
        await operator.resend("", ANN)
    assert refused.value.reason == "RESEND_RUNNING"
    cancelled = await operator.cancel(ANN)
    assert (cancelled.position, cancelled.resend) == (2, None)
    with pytest.raises(FailedPrecondition) as refused:
        await operator.cancel(ANN)
    assert refused.value.reason == "RESEND_NOT_RUNNING"

    await operator.resend("", ANN)
    messaging.relay()
    await messaging.publish("a", "3")
    await eventually(lambda: sent_all(operator))
    assert await values(messaging) == {"a": [1, 2, 1, 2, 3]}
    assert [line.what for line in await actions(messaging.db)] == [
        "resend all topics",
        "cancel resend at 0",
        "resend all topics",
    ]


async def test_a_consumer_whose_database_is_new_gets_everything(
    messaging: MessagingWorld, operator: OutboxOperator
) -> None:
    messaging.relay()
    first = messaging.consumer()
    await messaging.publish("a", "1", "2", "3")
    await messaging.publish("b", "1")
    await messaging.quiet()
    await messaging.stop(first)
    await messaging.db.execute("DELETE FROM inbox_key; DELETE FROM effect")
    messaging.consumer()
    await operator.resend("", ANN)

    async def applied() -> bool:
        return await messaging.effects() == {"a": ["1", "2", "3"], "b": ["1"]}

    await eventually(applied, 20)
    await messaging.quiet()
    assert await applied()


async def test_what_was_never_sent_cannot_be_sent_again(
    messaging: MessagingWorld, operator: OutboxOperator
) -> None:
    with pytest.raises(FailedPrecondition) as refused:
        await operator.resend("", ANN)
    assert refused.value.reason == "NOTHING_TO_RESEND"
    assert (await operator.position()).incarnation == ""
    messaging.relay()
    await messaging.publish("a", "1")
    await eventually(lambda: sent_all(operator))
    with pytest.raises(FailedPrecondition) as refused:
        await operator.resend("test.unknown", ANN)
    assert refused.value.reason == "NOTHING_TO_RESEND"
