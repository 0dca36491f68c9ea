"""Orders that a recall reaches, with a real database and saga engine."""

import asyncio
from datetime import timedelta
from uuid import uuid4

from chassis.errors import FailedPrecondition, Unavailable
from chassis.money import Money
from chassis.testing import eventually
from greenledger.events.v1.event_pb2 import Event
from greenledger.orders.v1 import events_pb2
from services.orders.adapters.codec import order_to_proto
from services.orders.application.recalled_order import AffectedOrder
from services.orders.domain.order import State
from tests.integration.orders.conftest import Orders

LOT = str(uuid4())


async def reach(
    orders: Orders, order_id: str, recall_id: str = "", *, consumed: bool = True
) -> events_pb2.OrderRecalled:
    """Tell orders of an affected order, and wait until it says that all is done."""
    recall_id = recall_id or str(uuid4())
    async with orders.database.transaction():
        await orders.see_to(AffectedOrder(order_id, recall_id, (LOT,), consumed))

    async def told() -> events_pb2.OrderRecalled | None:
        found = [each for each in await recalled(orders) if each.recall_id == recall_id]
        assert len(found) <= 1
        return found[0] if found else None

    return await eventually(told)


async def recalled(orders: Orders) -> list[events_pb2.OrderRecalled]:
    """What others were told of recalls, in order."""
    payloads = []
    for row in await orders.database.fetch(
        "SELECT payload FROM outbox WHERE topic = 'order.recalled' ORDER BY position"
    ):
        payload = events_pb2.OrderRecalled()
        assert Event.FromString(row["payload"]).payload.Unpack(payload)
        payloads.append(payload)
    return payloads


async def test_a_served_order_is_refunded_and_stays_fulfilled(orders: Orders) -> None:
    order = await orders.order()
    told = await reach(orders, order.order_id)
    assert (told.order_id, told.guest_id, list(told.lot_ids)) == (order.order_id, order.guest_id, [LOT])
    assert (told.served, told.unaffected, told.refunded.units) == (True, False, 5)
    assert orders.payments.orders_in("REFUNDED") == {order.order_id}
    after = await orders.store.get(order.order_id)
    assert after is not None
    assert (after.state, after.recall_ids, after.refunded) == (
        State.FULFILLED,
        (told.recall_id,),
        Money(500, "USD"),
    )
    assert order_to_proto(after).etag != order_to_proto(order).etag


async def test_several_recalls_of_an_order_are_one_refund(orders: Orders) -> None:
    order = await orders.order()
    told = await asyncio.gather(*(reach(orders, order.order_id) for _ in range(3)))
    assert [each.refunded.units for each in told] == [5, 5, 5]
    assert len(orders.payments.charges[order.order_id].refunds) == 1
    after = await orders.store.get(order.order_id)
    assert after is not None
    assert set(after.recall_ids) == {each.recall_id for each in told}


async def test_what_is_told_again_changes_nothing(orders: Orders) -> None:
    order = await orders.order()
    told = await reach(orders, order.order_id)
    assert await reach(orders, order.order_id, told.recall_id) == told
    # Also when the saga has been forgotten meanwhile.
    await orders.engine.purge(timedelta(0))
    assert await reach(orders, order.order_id, told.recall_id) == told
    await orders.database.fetch("SELECT 1")
    assert len(orders.payments.charges[order.order_id].refunds) == 1
    assert len(await recalled(orders)) == 1


async def test_an_order_under_way_is_stopped_by_its_checkout_and_then_told_of(orders: Orders) -> None:
    orders.payments.faults.then["capture"] = orders.inventory.recall
    placed: asyncio.Task[object] = asyncio.ensure_future(orders.order())
    order_id = await eventually(
        lambda: orders.database.fetchval("SELECT order_id::text FROM customer_order"), interval_s=0.001
    )
    told = await reach(orders, str(order_id), consumed=False)
    refusal = (await asyncio.gather(placed, return_exceptions=True))[0]
    assert isinstance(refusal, FailedPrecondition)
    assert refusal.reason == "LOT_RECALLED"
    assert (told.served, told.unaffected, told.refunded.units) == (False, False, 5)
    topics = [topic for topic in await orders.topics() if topic in ("failed", "recalled")]
    assert topics == ["failed", "recalled"]
    await orders.ensure_consistent()


async def test_an_order_that_came_to_nothing_has_nothing_back(orders: Orders) -> None:
    refusals = await asyncio.gather(orders.order(method="pm_declined"), return_exceptions=True)
    assert isinstance(refusals[0], FailedPrecondition)
    told = await reach(orders, str(refusals[0].metadata["order_id"]), consumed=False)
    assert (told.served, told.refunded.units, told.refunded.currency_code) == (False, 0, "USD")
    assert "refund" not in orders.payments.faults.calls


async def test_what_was_served_after_the_end_of_a_recall_is_paid_for(orders: Orders) -> None:
    order = await orders.order()
    told = await reach(orders, order.order_id, consumed=False)
    assert (told.served, told.unaffected, told.refunded.units) == (False, True, 0)
    assert orders.payments.orders_in("CAPTURED") == {order.order_id}


async def test_a_refund_whose_answer_is_lost_is_asked_for_again_as_the_same(orders: Orders) -> None:
    order = await orders.order()
    lost = Unavailable("UNAVAILABLE", "away")
    orders.payments.faults.before["refund"], orders.payments.faults.after["refund"] = [lost], [lost]
    told = await reach(orders, order.order_id)
    assert told.refunded.units == 5
    assert orders.payments.faults.calls.count("refund") == 3
    assert len(orders.payments.charges[order.order_id].refunds) == 1


async def test_what_an_operator_gave_back_is_not_given_back_again(orders: Orders) -> None:
    order = await orders.order()
    await orders.payments.refund(str(uuid4()), order.order_id, "complaint")
    told = await reach(orders, order.order_id)
    assert (told.served, told.refunded.units) == (True, 5)
    assert len(orders.payments.charges[order.order_id].refunds) == 1


async def test_what_an_operator_has_promised_and_not_given_yet_counts_as_given_back(orders: Orders) -> None:
    order = await orders.order()
    orders.payments.promised_minor = 200
    told = await reach(orders, order.order_id)
    assert (told.served, told.refunded.units) == (True, 5)
    after = await orders.store.get(order.order_id)
    assert after is not None
    assert after.refunded == order.total


async def test_an_order_that_is_not_known_here_is_left_alone(orders: Orders) -> None:
    async with orders.database.transaction():
        await orders.see_to(AffectedOrder(str(uuid4()), str(uuid4()), (LOT,), consumed=True))
    assert await orders.database.fetchval("SELECT count(*) FROM saga") == 0
