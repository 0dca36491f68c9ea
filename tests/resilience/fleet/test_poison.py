"""An event that cannot be applied stops its key, says why, and lets all others pass."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from confluent_kafka import Producer
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.outbox.outbox import EVENT_ID, KEY_SEQUENCE, PRODUCER
from chassis.testing import eventually
from fleet.client import Session
from fleet.testing.live import LiveFleet
from greenledger.operations.v1 import operations_pb2 as pb
from greenledger.users.v1 import users_pb2
from tests.resilience.fleet import invariants
from tests.resilience.fleet.market import Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

TOPIC, CONSUMER = "user.updated", "notifications"


@pytest_asyncio.fixture(loop_scope="session")
async def poisoned(market: Market, live: LiveFleet) -> AsyncIterator[Session]:
    """Somebody of whom notifications cannot keep the contact: their database refuses it."""
    somebody = await market.log_in(await market.register("guest"))
    contact = "SELECT count(*) FROM contact WHERE user_id = $1"
    await eventually(lambda: live.fetchval(CONSUMER, contact, somebody.user_id), 20)
    await live.fetch(
        CONSUMER,
        f"ALTER TABLE contact ADD CONSTRAINT poison CHECK (user_id <> '{somebody.user_id}') NOT VALID",
    )
    yield somebody
    await live.fetch(CONSUMER, "ALTER TABLE contact DROP CONSTRAINT IF EXISTS poison")


async def test_a_poison_event_parks_its_key_and_a_replay_resumes_in_order(
    market: Market, live: LiveFleet, poisoned: Session
) -> None:
    for number in range(3):
        await _update(live, poisoned, marketing=number % 2 == 0)
    parked = await eventually(lambda: _parked(market, poisoned.user_id, 3), 20)
    assert [event.key_sequence for event in parked] == [1, 2, 3]
    assert "poison" in parked[0].reason
    assert "earlier event" in parked[1].reason

    await _update(live, market.guest, marketing=True)
    kept = "SELECT marketing_email FROM contact WHERE user_id = $1"
    await eventually(lambda: live.fetchval(CONSUMER, kept, market.guest.user_id), 20)
    with pytest.raises(Exception, match="EVENT_STILL_FAILS"):
        await _replay(market, poisoned.user_id)
    assert len(await _parked(market, poisoned.user_id, 3)) == 3

    await live.fetch(CONSUMER, "ALTER TABLE contact DROP CONSTRAINT poison")
    await _replay(market, poisoned.user_id)
    assert await _parked(market, poisoned.user_id, 0) == []
    row = await live.fetch(
        CONSUMER, "SELECT marketing_email, revision FROM contact WHERE user_id = $1", poisoned.user_id
    )
    last = await live.fetchval("users", "SELECT revision FROM person WHERE user_id = $1", poisoned.user_id)
    assert tuple(row[0]) == (True, last)
    await _update(live, poisoned, marketing=False)
    await eventually(lambda: _withdrawn(live, poisoned.user_id), 20)
    await invariants.check_events(live)


async def test_a_record_that_is_no_event_parks_only_its_own_key(market: Market, live: LiveFleet) -> None:
    key = new_id()
    headers = {EVENT_ID: new_id(), KEY_SEQUENCE: "1", PRODUCER: "users"}
    await asyncio.to_thread(_produce, live.bootstrap, key, b"\xff\xff no envelope", headers)
    parked = await eventually(lambda: _parked(market, key, 1), 20)
    assert parked[0].event_id == headers[EVENT_ID]
    assert "not an event envelope" in parked[0].reason
    await _update(live, market.guest, marketing=True)
    await _update(live, market.guest, marketing=False)
    await eventually(lambda: _withdrawn(live, market.guest.user_id), 20)

    operations = live.rpc(CONSUMER)
    request = pb.DiscardParkedEventRequest(
        consumer=CONSUMER, topic=TOPIC, key=key, event_id=headers[EVENT_ID], why="made by a test"
    )
    await operations.call(operations.operations.DiscardParkedEvent, request, market.operator)
    assert await _parked(market, key, 0) == []
    await live.fetch(CONSUMER, "DELETE FROM inbox_key WHERE key = $1", key)
    await invariants.check_events(live)


async def _withdrawn(live: LiveFleet, user_id: str) -> bool:
    kept = "SELECT NOT marketing_email FROM contact WHERE user_id = $1"
    return bool(await live.fetchval(CONSUMER, kept, user_id))


async def _update(live: LiveFleet, who: Session, *, marketing: bool) -> None:
    users = live.rpc("users")
    request = users_pb2.UpdateUserRequest(
        user=users_pb2.User(
            user_id=who.user_id, preferences=users_pb2.Preferences(marketing_email=marketing)
        ),
        update_mask=FieldMask(paths=["preferences.marketing_email"]),
    )
    await users.call(users.users.UpdateUser, request, who)


async def _parked(market: Market, key: str, wanted: int) -> list[pb.ParkedEvent]:
    """What is parked of a key, as an operator sees it; AssertionError unless it is so many."""
    operations = market.live.rpc(CONSUMER)
    request = pb.ListParkedEventsRequest(page_size=1000)
    listed = await operations.call(operations.operations.ListParkedEvents, request, market.operator)
    found = [event for event in listed.parked_events if event.key == key and event.topic == TOPIC]
    assert len(found) == wanted, found
    return found


async def _replay(market: Market, key: str) -> None:
    operations = market.live.rpc(CONSUMER)
    request = pb.ReplayParkedKeyRequest(consumer=CONSUMER, topic=TOPIC, key=key, why="mended")
    await operations.call(operations.operations.ReplayParkedKey, request, market.operator)


def _produce(bootstrap: str, key: str, value: bytes, headers: dict[str, str]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap})
    producer.produce(
        TOPIC, value=value, key=key, headers={name: text.encode() for name, text in headers.items()}
    )
    assert producer.flush(10) == 0
