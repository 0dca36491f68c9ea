"""An event that the broker would refuse is refused where it is published."""

import pytest
from google.protobuf.wrappers_pb2 import BytesValue

from chassis.broker import BrokerSettings
from chassis.errors import InvalidArgument
from chassis.outbox import Outbox, Publication
from chassis.outbox.outbox import MAX_EVENT_BYTES
from chassis.settings import Settings
from chassis.testing import eventually
from chassis.testing.messaging import PRODUCER, MessagingWorld, publication

pytestmark = pytest.mark.slow


def big(size: int, key: str = "big") -> Publication:
    return Publication("test.big", key, BytesValue(value=b"x" * size), "thing")


async def test_an_event_that_is_too_large_is_refused_and_the_transaction_with_it(
    messaging: MessagingWorld,
) -> None:
    outbox = Outbox(PRODUCER, max_event_bytes=20_000)
    with pytest.raises(InvalidArgument) as refused:
        async with messaging.db.transaction() as tx:
            await outbox.publish(tx, [publication("k", "small"), big(20_000)])
    assert refused.value.reason == "EVENT_TOO_LARGE"
    assert refused.value.metadata["topic"] == "test.big"
    assert refused.value.metadata["limit"] == "20000"
    assert int(refused.value.metadata["bytes"]) > 20_000
    assert await messaging.db.fetchval("SELECT count(*) FROM outbox") == 0


async def test_the_largest_event_that_is_taken_reaches_the_broker(messaging: MessagingWorld) -> None:
    size, largest = MAX_EVENT_BYTES, 0
    while not largest:
        try:
            async with messaging.db.transaction() as tx:
                await messaging.outbox.publish(tx, [big(size, key="k" * 200)])
            largest = size
        except InvalidArgument as refused:
            size -= int(refused.metadata["bytes"]) - MAX_EVENT_BYTES
    assert largest > MAX_EVENT_BYTES - 2000
    messaging.relay()
    await messaging.publish("behind", "1")

    async def all_sent() -> bool:
        return (await messaging.relays[0].lag()).rows == 0

    await eventually(all_sent)


def test_producers_outbox_and_settings_have_one_default() -> None:
    default = Settings.__dataclass_fields__["kafka_max_message_bytes"].default
    assert default == MAX_EVENT_BYTES == BrokerSettings("h:1").max_message_bytes
