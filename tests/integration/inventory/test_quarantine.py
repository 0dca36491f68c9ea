"""What a recall blocks, whom it tells of, and what its end sets free; with a real database."""

import asyncio
from uuid import uuid4

import pytest

from chassis.database import Database
from chassis.errors import FailedPrecondition
from greenledger.events.v1.event_pb2 import Event
from greenledger.inventory.v1 import events_pb2
from services.inventory.domain.stock import StockItem
from tests.integration.inventory.conftest import OWNER, RECALL, VENUE, Inventory, need

OTHER = str(uuid4())


async def told(database: Database, topic: str, message: type) -> list:
    """Payloads of a topic, in order."""
    found = []
    for row in await database.fetch("SELECT payload FROM outbox WHERE topic = $1 ORDER BY position", topic):
        payload = message()
        assert Event.FromString(row["payload"]).payload.Unpack(payload)
        found.append(payload)
    return found


async def affected(inventory: Inventory) -> list[events_pb2.OrderAffected]:
    return await told(inventory.database, "inventory.order-affected", events_pb2.OrderAffected)


async def usable(inventory: Inventory, item: StockItem) -> bool:
    present = await inventory.stock.get(item.stock_item_id)
    assert present is not None
    return not present.quarantined


async def test_each_order_is_told_of_once_with_all_its_lots(inventory: Inventory):
    first, second = await inventory.stocked(4, days=1), await inventory.stocked(6, days=2)
    eaten, both = await inventory.reserved(need(1)), await inventory.reserved(need(5))
    await inventory.reservations.consume(eaten)
    given_back = await inventory.reserved(need(1))
    await inventory.reservations.release(given_back)
    blocked = await inventory.quarantine(first.lot_id, second.lot_id)
    assert {item.stock_item_id for item in blocked.items} == {first.stock_item_id, second.stock_item_id}
    events = {each.order_id: each for each in await affected(inventory)}
    assert {order: each.consumed for order, each in events.items()} == {eaten: True, both: False}
    assert set(events[both].lot_ids) == {first.lot_id, second.lot_id}
    assert {(each.recall_id, each.venue_id) for each in events.values()} == {(RECALL, VENUE)}
    again = await inventory.quarantine(first.lot_id, second.lot_id)
    assert (again.items, again.orders) == ([], [])
    assert len(await affected(inventory)) == 2


async def test_another_recall_tells_of_the_same_orders_in_its_own_name(inventory: Inventory):
    item = await inventory.stocked(4)
    order_id = await inventory.reserved(need(1))
    await inventory.quarantine(item.lot_id)
    await inventory.quarantine(item.lot_id, recall_id=OTHER)
    assert [(each.recall_id, each.order_id) for each in await affected(inventory)] == [
        (RECALL, order_id),
        (OTHER, order_id),
    ]


async def test_an_order_of_lots_that_come_in_several_calls_is_told_of_once(inventory: Inventory):
    first, second = await inventory.stocked(4, days=1), await inventory.stocked(6, days=2)
    await inventory.reserved(need(5))
    await inventory.quarantine(first.lot_id)
    await inventory.quarantine(second.lot_id)
    assert len(await affected(inventory)) == 1
    assert not await usable(inventory, second)


async def test_many_calls_at_once_for_the_same_lots_are_one(inventory: Inventory):
    items = [await inventory.stocked(2, days=day) for day in range(1, 6)]
    await inventory.reserved(need(9))
    lots = [item.lot_id for item in items]
    await asyncio.gather(*(inventory.quarantine(*(lots if n % 2 else lots[::-1])) for n in range(8)))
    assert len(await affected(inventory)) == 1
    quarantined = await told(inventory.database, "inventory.quarantined", events_pb2.StockQuarantined)
    assert sorted(each.lot_id for each in quarantined) == sorted(lots)
    assert all(each.product_code for each in quarantined)


async def test_the_end_of_a_recall_sets_its_stock_free_and_an_order_may_be_served_again(inventory: Inventory):
    item = await inventory.stocked(4)
    order_id = await inventory.reserved(need(1))
    await inventory.quarantine(item.lot_id)
    with pytest.raises(FailedPrecondition):
        await inventory.reservations.consume(order_id)
    await inventory.lift(RECALL, item.lot_id)
    await inventory.reservations.consume(order_id)
    assert await inventory.amounts(item) == ("3", "0")
    (lifted,) = await told(inventory.database, "inventory.quarantine-lifted", events_pb2.QuarantineLifted)
    assert (lifted.stock_item_id, lifted.recall_id) == (item.stock_item_id, RECALL)
    assert await inventory.lift(RECALL, item.lot_id) == []


async def test_stock_stays_blocked_while_another_recall_holds_its_lot(inventory: Inventory):
    item = await inventory.stocked(4)
    await inventory.quarantine(item.lot_id)
    await inventory.quarantine(item.lot_id, recall_id=OTHER)
    assert await inventory.lift(RECALL, item.lot_id) == []
    assert not await usable(inventory, item)
    (freed,) = await inventory.lift(OTHER, item.lot_id)
    assert not freed.quarantined


async def test_a_recall_that_ended_before_it_came_blocks_nothing(inventory: Inventory):
    item = await inventory.stocked(4)
    order_id = await inventory.reserved(need(1))
    await inventory.lift(RECALL, item.lot_id)
    assert (await inventory.quarantine(item.lot_id)).items == []
    await inventory.reservations.consume(order_id)
    assert await affected(inventory) == []
    await inventory.quarantine(item.lot_id, recall_id=OTHER)
    assert not await usable(inventory, item)


async def test_a_lot_may_be_received_again_when_its_recall_has_ended(inventory: Inventory):
    lot_id = inventory.lot(4)
    quantity = inventory.crops.lots[lot_id].quantity
    await inventory.quarantine(lot_id)
    with pytest.raises(FailedPrecondition) as refused:
        await inventory.receive(OWNER, VENUE, lot_id, quantity)
    assert refused.value.reason == "LOT_RECALLED"
    await inventory.lift(RECALL, lot_id)
    assert await usable(inventory, await inventory.receive(OWNER, VENUE, lot_id, quantity))


async def test_what_was_blocked_before_recalls_had_names_is_freed_by_the_end_of_any(inventory: Inventory):
    item = await inventory.stocked(4)
    await inventory.quarantine(item.lot_id, recall_id="")
    await inventory.lift(OTHER, item.lot_id)
    assert await usable(inventory, item)


async def test_stock_of_a_held_lot_is_neither_promised_nor_served_until_the_hold_has_ended(
    inventory: Inventory,
):
    item = await inventory.stocked(4)
    order_id = await inventory.reserved(need(1))
    await inventory.hold(item.lot_id, ended=False)
    for reason, call in (
        ("LOT_HELD", inventory.reservations.consume(order_id)),
        ("OUT_OF_STOCK", inventory.reserved(need(1))),
    ):
        with pytest.raises(FailedPrecondition) as refused:
            await call
        assert refused.value.reason == reason
    await inventory.hold(item.lot_id, ended=True)
    await inventory.reservations.consume(order_id)


async def test_holds_may_be_told_of_in_any_order(inventory: Inventory):
    item = await inventory.stocked(4)
    for ended, held in ((True, False), (False, False), (False, True), (True, False)):
        await inventory.hold(item.lot_id, ended=ended)
        present = await inventory.stock.get(item.stock_item_id)
        assert present is not None
        assert present.held is held


async def test_goods_that_were_committed_before_a_hold_are_stored_held(inventory: Inventory):
    lot_id = inventory.lot(4)

    async def hold() -> None:
        await inventory.hold(lot_id, ended=False)

    inventory.crops.after = hold
    item = await inventory.receive(OWNER, VENUE, lot_id, inventory.crops.lots[lot_id].quantity)
    assert item.held


async def test_a_recall_is_a_stronger_reason_than_a_hold(inventory: Inventory):
    item = await inventory.stocked(4)
    order_id = await inventory.reserved(need(1))
    await inventory.hold(item.lot_id, ended=False)
    await inventory.quarantine(item.lot_id)
    await inventory.lift(RECALL, item.lot_id)
    present = await inventory.stock.get(item.stock_item_id)
    assert present is not None
    assert (present.quarantined, present.held) == (False, True)
    await inventory.quarantine(item.lot_id, recall_id=OTHER)
    with pytest.raises(FailedPrecondition) as refused:
        await inventory.reservations.confirm(order_id)
    assert refused.value.reason == "LOT_QUARANTINED"
