"""What was served, with a real database: heard in batches, recorded once, shown, flagged where it must be."""

import asyncio
import json
from collections.abc import Sequence
from datetime import datetime
from uuid import uuid4

import pytest

from chassis.clock import SystemClock
from chassis.errors import DomainError, NotFound
from chassis.inbox import ReceivedEvent
from chassis.protobuf import quantity_to_proto
from chassis.quantity import Quantity
from greenledger.crops.v1.events_pb2 import LotServed
from greenledger.inventory.v1 import events_pb2, inventory_pb2
from services.crops.adapters.lot_histories import StoredLotHistories
from services.crops.adapters.stock_events import served_orders
from services.crops.application.export_lot import ExportLot
from services.crops.application.serve_orders import ServeOrders
from services.crops.domain.events import Purpose, RecallClass
from services.crops.domain.lot import Commitment, LotState
from tests.integration.crops.conftest import Crops, user
from tests.unit.crops.lots import GROWER, LOT_ID, NOW

VENUE = "66666666-6666-4666-8666-666666666666"
TABLES = ("lot_view", "lot_ownership", "lot_history")
Consumed = ReceivedEvent[events_pb2.StockConsumed]


def kg(amount: int) -> Quantity:
    return Quantity.of(amount, "KGM")


async def receive(crops: Crops, lot_id: str, amount: int) -> str:
    """The stock's id, which is the commitment's."""
    stock_item_id = str(uuid4())
    wanted = Commitment(kg(amount), Purpose.RECEIPT, VENUE, "inventory")
    await crops.commit(lot_id, stock_item_id, GROWER, wanted)
    return stock_item_id


def consumed(*taken: tuple[str, str, int], order_id: str = "", at: datetime = NOW) -> Consumed:
    """Of stock of a lot so much."""
    order_id = order_id or str(uuid4())
    allocations = [
        inventory_pb2.Allocation(
            menu_item_id=str(uuid4()), stock_item_id=stock, lot_id=lot, quantity=quantity_to_proto(kg(amount))
        )
        for stock, lot, amount in taken
    ]
    payload = events_pb2.StockConsumed(order_id=order_id, venue_id=VENUE, allocations=allocations)
    told = (str(uuid4()), "inventory.consumed", 1, "order", order_id, 1, at, at, "", "", "", "", "inventory")
    return ReceivedEvent(*told, payload)


async def hear(crops: Crops, *events: Consumed) -> None:
    """As the inbox has them applied: all in one transaction."""
    subscription = served_orders(ServeOrders(crops.database, crops.lots, SystemClock()))
    assert subscription.batch_handler is not None
    async with crops.database.transaction() as tx:
        await subscription.batch_handler(events, tx)


async def findings(crops: Crops) -> Sequence[tuple[str, str]]:
    rows = await crops.database.fetch("SELECT code, event_id FROM epcis_finding ORDER BY number")
    return [(row["code"], row["event_id"].removeprefix("urn:uuid:")) for row in rows]


async def test_what_was_served_is_shown_told_exported_and_the_same_when_rebuilt(crops: Crops) -> None:
    lot_id = (await crops.minted()).lot_id
    stock = await receive(crops, lot_id, 100)
    await hear(crops, consumed((stock, lot_id, 10), (stock, lot_id, 5)), consumed((stock, lot_id, 20)))
    lot = await crops.read.get(lot_id)
    assert (lot.quantity, lot.committed, lot.state) == (kg(65), kg(65), LotState.ACTIVE)
    await hear(crops, consumed((stock, lot_id, 65)))
    lot = await crops.read.get(lot_id)
    assert (lot.quantity, lot.committed, lot.state) == (kg(0), kg(0), LotState.EMPTY)
    assert lot.version == (await crops.lots.load(lot_id)).version
    lines = await crops.read.events(lot_id, 2, 10)
    assert [line.summary for line in lines] == [
        f"15 KGM were served at venue {VENUE}; 85 KGM remain.",
        f"20 KGM were served at venue {VENUE}; 65 KGM remain.",
        f"65 KGM were served at venue {VENUE}; 0 KGM remain.",
    ]
    told = []
    for event in await crops.published("crop.served"):
        payload = LotServed()
        assert event.payload.Unpack(payload)
        told.append((payload.quantity.amount, payload.remaining.amount, payload.servings))
    assert told == [("35", "65", 2), ("65", "0", 1)]
    document = json.loads(await ExportLot(StoredLotHistories(crops.store), SystemClock())(lot_id))
    events = document["epcisBody"]["eventList"][-3:]
    assert [each["bizStep"] for each in events] == ["retail_selling"] * 3
    assert [each["eventID"] for each in events] == [f"urn:uuid:{line.event_id}" for line in lines]
    live = {table: await crops.dump(table) for table in TABLES}
    assert (await crops.projection.rebuild()).identical
    assert {table: await crops.dump(table) for table in TABLES} == live


async def test_an_order_that_is_told_again_is_served_once(crops: Crops) -> None:
    lot_id = (await crops.minted()).lot_id
    stock = await receive(crops, lot_id, 30)
    order = consumed((stock, lot_id, 10))
    await hear(crops, order, order)
    await hear(crops, order, consumed((stock, lot_id, 1)))
    lot = await crops.lots.load(lot_id)
    assert (lot.quantity, lot.committed) == (kg(89), kg(19))


async def test_a_lot_that_many_order_at_once_costs_one_append_and_one_message_a_batch(crops: Crops) -> None:
    lot_id, other = [(await crops.minted(code)).lot_id for code in "AB"]
    stock, beside = await receive(crops, lot_id, 100), await receive(crops, other, 100)
    before = (await crops.lots.load(lot_id)).version
    orders = [consumed((stock, lot_id, 1), (beside, other, 1)) for _ in range(60)]
    await asyncio.gather(*(hear(crops, *orders[start : start + 15]) for start in range(0, 60, 15)))
    for each in (lot_id, other):
        lot = await crops.lots.load(each)
        assert (lot.quantity, lot.committed, lot.version) == (kg(40), kg(40), before + 60)
    assert len(await crops.published("crop.served")) == 8
    appended = await crops.database.fetchval(
        "SELECT count(DISTINCT xmin::text) FROM event WHERE type = 'LotServed'"
    )
    assert appended == 4


async def test_servings_and_commands_on_a_lot_at_once_never_take_more_than_there_is(crops: Crops) -> None:
    lot_id = (await crops.minted()).lot_id
    stock = await receive(crops, lot_id, 40)
    servings = [hear(crops, consumed((stock, lot_id, 10))) for _ in range(4)]
    sales = [crops.sell(user(GROWER), lot_id, kg(25), "") for _ in range(4)]
    outcomes = await asyncio.gather(*servings, *sales, return_exceptions=True)
    assert outcomes[:4] == [None] * 4
    failures = [each for each in outcomes if isinstance(each, BaseException)]
    assert all(isinstance(each, DomainError) for each in failures), failures
    lot = await crops.lots.load(lot_id)
    assert (lot.quantity, lot.committed) == (kg(60 - 25 * (4 - len(failures))), kg(0))


async def test_each_serving_that_does_not_fit_is_flagged_on_its_own_event(crops: Crops) -> None:
    lot_id = (await crops.minted()).lot_id
    stock = await receive(crops, lot_id, 10)
    await crops.recall(user(GROWER), lot_id, "glass", RecallClass.I)
    await hear(crops, consumed((stock, lot_id, 10)), consumed((stock, lot_id, 5)))
    first, second = [line.event_id for line in await crops.read.events(lot_id, 3, 10)]
    assert set(await findings(crops)) == {
        ("SERVED_WHILE_BLOCKED", first),
        ("SERVED_WHILE_BLOCKED", second),
        ("QUANTITY_EXCEEDED", second),
    }
    lot = await crops.lots.load(lot_id)
    assert (lot.state, lot.quantity) == (LotState.RECALLED, kg(85))


async def test_of_an_order_with_goods_of_an_unknown_lot_nothing_is_recorded(crops: Crops) -> None:
    lot_id = (await crops.minted()).lot_id
    stock = await receive(crops, lot_id, 10)
    with pytest.raises(NotFound):
        await hear(crops, consumed((stock, lot_id, 1), ("?", LOT_ID, 1)))
    assert (await crops.lots.load(lot_id)).quantity == kg(100)
    assert await crops.published("crop.served") == []
