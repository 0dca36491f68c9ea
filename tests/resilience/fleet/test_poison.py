"""An event that cannot be applied stops its key, says why, and lets all others pass."""

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from confluent_kafka import Producer
from google.protobuf.field_mask_pb2 import FieldMask

from chassis.outbox.outbox import EVENT_ID, KEY_SEQUENCE, PRODUCER
from chassis.testing import eventually
from fleet.testing.live import LiveFleet
from greenledger.catalog.v1 import catalog_pb2
from greenledger.operations.v1 import operations_pb2 as pb
from tests.resilience.fleet import invariants
from tests.resilience.fleet.market import Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

TOPIC, CONSUMER = "catalog.menu-item-changed", "trace"
NAME = "SELECT name FROM menu_item WHERE menu_item_id = $1"


@pytest_asyncio.fixture(loop_scope="session")
async def poisoned(market: Market, live: LiveFleet) -> AsyncIterator[str]:
    """A dish of which trace cannot keep the news: its database refuses it."""
    dish = await market.dish(market.goods.product_code, 321)
    await eventually(lambda: live.fetchval(CONSUMER, NAME, dish), 20)
    await live.fetch(
        CONSUMER, f"ALTER TABLE menu_item ADD CONSTRAINT poison CHECK (menu_item_id <> '{dish}') NOT VALID"
    )
    yield dish
    await live.fetch(CONSUMER, "ALTER TABLE menu_item DROP CONSTRAINT IF EXISTS poison")


async def test_a_poison_event_parks_its_key_and_a_replay_resumes_in_order(
    market: Market, live: LiveFleet, poisoned: str
) -> None:
    other = await market.dish(market.goods.product_code, 322)
    for number in range(3):
        await _rename(market, poisoned, f"Salad {number}")
    parked = await eventually(lambda: _parked(market, poisoned, 3), 20)
    assert [event.key_sequence for event in parked] == [2, 3, 4]
    assert "poison" in parked[0].reason
    assert "earlier event" in parked[1].reason

    await _rename(market, other, "Soup")
    await eventually(lambda: _is_called(live, other, "Soup"), 20)
    with pytest.raises(Exception, match="EVENT_STILL_FAILS"):
        await _replay(market, poisoned)
    assert len(await _parked(market, poisoned, 3)) == 3

    await live.fetch(CONSUMER, "ALTER TABLE menu_item DROP CONSTRAINT poison")
    await _replay(market, poisoned)
    assert await _parked(market, poisoned, 0) == []
    assert await _is_called(live, poisoned, "Salad 2")
    await _rename(market, poisoned, "Salad 3")
    await eventually(lambda: _is_called(live, poisoned, "Salad 3"), 20)
    await invariants.check_events(live)


async def test_a_record_that_is_no_event_parks_only_its_own_key(market: Market, live: LiveFleet) -> None:
    key, other = new_id(), await market.dish(market.goods.product_code, 323)
    headers = {EVENT_ID: new_id(), KEY_SEQUENCE: "1", PRODUCER: "catalog"}
    await asyncio.to_thread(_produce, live.bootstrap, key, b"\xff\xff no envelope", headers)
    parked = await eventually(lambda: _parked(market, key, 1), 20)
    assert parked[0].event_id == headers[EVENT_ID]
    assert "not an event envelope" in parked[0].reason
    await _rename(market, other, "Stew")
    await eventually(lambda: _is_called(live, other, "Stew"), 20)

    operations = live.rpc(CONSUMER)
    request = pb.DiscardParkedEventRequest(
        consumer=CONSUMER, topic=TOPIC, key=key, event_id=headers[EVENT_ID], why="made by a test"
    )
    await operations.call(operations.operations.DiscardParkedEvent, request, market.operator)
    assert await _parked(market, key, 0) == []
    await live.fetch(CONSUMER, "DELETE FROM inbox_key WHERE key = $1", key)
    await invariants.check_events(live)


async def _is_called(live: LiveFleet, menu_item_id: str, name: str) -> bool:
    return bool(await live.fetchval(CONSUMER, NAME, menu_item_id) == name)


async def _rename(market: Market, menu_item_id: str, name: str) -> None:
    catalog = market.live.rpc("catalog")
    request = catalog_pb2.UpdateMenuItemRequest(
        menu_item=catalog_pb2.MenuItem(menu_item_id=menu_item_id, name=name),
        update_mask=FieldMask(paths=["name"]),
    )
    await catalog.call(catalog.catalog.UpdateMenuItem, request, market.owner)


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
