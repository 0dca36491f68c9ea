"""A checkout becomes a paid order or nothing at all, and says the same however often it is asked."""

import asyncio
import time
from collections import Counter
from contextlib import suppress

import pytest

from chassis.context import RequestContext, use
from chassis.errors import (
    AlreadyExists,
    DeadlineExceeded,
    DomainError,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    Unavailable,
)
from chassis.ids import SystemIds
from chassis.money import Money
from chassis.testing import eventually
from services.orders.domain.order import State
from tests.integration.orders.conftest import ANN, VENUE, Orders, running


def timed_out() -> DomainError:
    return DeadlineExceeded("PROVIDER_TIMEOUT", "the provider did not answer")


async def refused(reason: str, call, kind: type[DomainError] = FailedPrecondition) -> DomainError:
    with pytest.raises(kind) as caught:
        await call
    assert caught.value.reason == reason
    return caught.value


async def test_a_checkout_is_paid_and_fulfilled(orders: Orders):
    order = await orders.order([(orders.soup, 2), (orders.soup, 1)])
    assert (order.state, order.total, order.revision) == (State.FULFILLED, Money(1500, "USD"), 4)
    assert [(line.name, line.quantity) for line in order.lines] == [("Soup", 3)]
    assert orders.inventory.on_hand == 7
    assert await orders.topics() == ["placed", "confirmed", "fulfilled"]
    await orders.ensure_consistent()


async def test_too_little_stock_charges_nothing(orders: Orders):
    error = await refused("OUT_OF_STOCK", orders.order([(orders.soup, 11)]))
    assert (await orders.store.get(error.metadata["order_id"])).state is State.FAILED
    assert orders.payments.faults.calls == []
    assert await orders.topics() == ["placed", "failed"]
    await orders.ensure_consistent()


async def test_a_declined_payment_gives_the_stock_back(orders: Orders):
    await refused("PAYMENT_DECLINED", orders.order(method="pm_declined"))
    assert orders.inventory.faults.calls == ["reserve", "release"]
    await orders.ensure_consistent()


async def test_a_payment_method_that_cannot_be_is_named_as_what_is_wrong(orders: Orders):
    request_id = SystemIds().uuid7()
    for _ in range(2):
        error = await refused(
            "PAYMENT_METHOD_INVALID", orders.order(method="cash", request_id=request_id), InvalidArgument
        )
        assert "payment method" in error.message
        assert [violation.field for violation in error.violations] == ["payment_method"]
    await orders.ensure_consistent()


async def test_the_payment_method_is_forgotten_with_the_end_of_the_saga(orders: Orders):
    await orders.order()
    await refused("PAYMENT_DECLINED", orders.order(method="pm_declined"))
    await orders.ensure_consistent()
    kept = "SELECT count(*) FROM saga WHERE saga::text LIKE '%pm\\_%'"
    assert await orders.database.fetchval(kept) == 0


async def test_an_authorization_without_answer_is_given_up_and_voided(orders: Orders):
    orders.payments.faults.after["authorize"] = [timed_out() for _ in range(5)]
    error = await refused("PROVIDER_TIMEOUT", orders.order())
    assert "did not answer" in error.message
    assert orders.payments.faults.calls == ["authorize"] * 5 + ["void"]
    assert len(orders.payments.orders_in("VOIDED")) == 1
    await orders.ensure_consistent()


async def test_answers_that_come_late_are_found_by_asking_again(orders: Orders):
    orders.inventory.faults.after = {step: [timed_out()] for step in ("reserve", "hold", "consume")}
    orders.payments.faults.after = {step: [timed_out()] for step in ("authorize", "capture")}
    assert (await orders.order()).state is State.FULFILLED
    assert Counter(orders.payments.faults.calls) == {"authorize": 2, "capture": 2}
    assert orders.inventory.on_hand == 9
    await orders.ensure_consistent()


async def test_a_capture_is_asked_for_until_it_answers(orders: Orders):
    orders.payments.faults.before["capture"] = [Unavailable("UNAVAILABLE", "down") for _ in range(4)]
    assert (await orders.order()).state is State.FULFILLED
    await orders.ensure_consistent()


async def test_a_recall_before_the_capture_charges_nothing(orders: Orders):
    orders.payments.faults.then["authorize"] = orders.inventory.recall
    await refused("LOT_RECALLED", orders.order())
    assert "capture" not in orders.payments.faults.calls
    assert len(orders.payments.orders_in("VOIDED")) == 1
    await orders.ensure_consistent()


async def test_a_recall_after_the_capture_gives_the_money_back_once(orders: Orders):
    orders.payments.faults.then["capture"] = orders.inventory.recall
    orders.payments.faults.after["refund"] = [timed_out()]
    error = await refused("LOT_RECALLED", orders.order())
    assert orders.payments.orders_in("REFUNDED") == {error.metadata["order_id"]}
    assert len(orders.payments.charges[error.metadata["order_id"]].refunds) == 1
    assert await orders.topics() == ["placed", "confirmed", "failed"]
    await orders.ensure_consistent()


@pytest.mark.parametrize("step", ["authorize", "capture"])
async def test_goods_that_are_held_back_meanwhile_are_not_served_and_not_charged(orders: Orders, step: str):
    orders.payments.faults.then[step] = orders.inventory.hold_back
    error = await refused("LOT_HELD", orders.order())
    state = "VOIDED" if step == "authorize" else "REFUNDED"
    assert orders.payments.orders_in(state) == {error.metadata["order_id"]}
    await orders.ensure_consistent()


async def test_a_capture_that_is_refused_because_the_payment_was_voided_gives_all_back(orders: Orders):
    orders.payments.faults.before["capture"] = [timed_out()]

    def void_by_hand() -> None:
        for charge in orders.payments.charges.values():
            charge.state = "VOIDED"

    orders.inventory.faults.then["hold"] = void_by_hand
    await refused("CHECKOUT_FAILED", orders.order())
    assert orders.payments.faults.calls[-1] == "void"
    await orders.ensure_consistent()


async def test_a_repeated_request_is_the_same_order(orders: Orders):
    request_id = SystemIds().uuid7()
    first = await orders.order(request_id=request_id)
    assert await orders.order(request_id=request_id) == first
    assert orders.inventory.on_hand == 9


async def test_a_repeated_failure_is_the_same_failure_although_it_would_succeed_now(orders: Orders):
    request_id, orders.inventory.on_hand = SystemIds().uuid7(), 0
    first = await refused("OUT_OF_STOCK", orders.order(request_id=request_id))
    orders.inventory.on_hand = 10
    second = await refused("OUT_OF_STOCK", orders.order(request_id=request_id))
    assert first.metadata == second.metadata
    assert (await orders.order()).state is State.FULFILLED


@pytest.mark.parametrize("change", ["items", "method"])
async def test_a_request_id_names_one_order(orders: Orders, change: str):
    request_id = SystemIds().uuid7()
    await orders.order(request_id=request_id)
    other = {"items": [(orders.soup, 2)]} if change == "items" else {"method": "pm_other"}
    await refused("REQUEST_ID_REUSED", orders.order(**other, request_id=request_id), AlreadyExists)


async def test_a_request_id_is_the_guests_own(orders: Orders):
    request_id = SystemIds().uuid7()
    mine = await orders.order(request_id=request_id)
    theirs = await orders.checkout("bob", request_id, "pm_card", [(orders.soup, 1)])
    assert mine.order_id != theirs.order_id


async def test_ten_checkouts_of_one_request_at_once_are_one_order(orders: Orders):
    request_id, start = SystemIds().uuid7(), asyncio.Barrier(10)

    async def check_out() -> str:
        await start.wait()
        return (await orders.order(request_id=request_id)).order_id

    assert len(set(await asyncio.gather(*(check_out() for _ in range(10))))) == 1
    assert orders.inventory.on_hand == 9
    assert await orders.topics() == ["placed", "confirmed", "fulfilled"]


async def test_of_many_checkouts_as_many_succeed_as_there_are_portions(orders: Orders):
    start = asyncio.Barrier(40)

    async def check_out() -> str:
        await start.wait()
        try:
            return (await orders.order()).state.value
        except DomainError as error:
            return error.reason

    outcomes = Counter(await asyncio.gather(*(check_out() for _ in range(40))))
    assert outcomes == {"FULFILLED": 10, "OUT_OF_STOCK": 30}
    assert orders.inventory.on_hand == 0
    await orders.ensure_consistent()


async def test_what_cannot_be_ordered_leaves_no_order(orders: Orders):
    elsewhere = orders.catalog.add("v2", Money(100, "USD"))
    gone = orders.catalog.add(VENUE, Money(100, "USD"), available=False)
    await refused("CART_EMPTY", orders.order([]))
    await refused("CART_OTHER_VENUE", orders.order([(orders.soup, 1), (elsewhere, 1)]))
    await refused("MENU_ITEM_UNAVAILABLE", orders.order([(gone, 1)]))
    await refused("MENU_ITEM_NOT_FOUND", orders.order([(SystemIds().uuid7(), 1)]), NotFound)
    await refused("AMOUNT_INVALID", orders.order([(orders.soup, 10**13)]), InvalidArgument)
    assert await orders.database.fetchval("SELECT count(*) FROM customer_order") == 0


async def test_a_caller_without_patience_may_ask_again(idle_orders: Orders):
    request_id = SystemIds().uuid7()
    impatient = RequestContext(deadline=time.monotonic() + 0.3)
    with use(impatient):
        error = await refused(
            "CHECKOUT_UNDER_WAY", idle_orders.order(request_id=request_id), DeadlineExceeded
        )
    async with running(idle_orders.engine):
        order = await idle_orders.order(request_id=request_id)
    assert (order.order_id, order.state) == (error.metadata["order_id"], State.FULFILLED)


async def test_a_caller_who_leaves_does_not_stop_the_order(orders: Orders):
    request_id = SystemIds().uuid7()
    orders.payments.faults.before["capture"] = [timed_out() for _ in range(3)]
    leaving = asyncio.create_task(orders.order(request_id=request_id))
    await eventually(lambda: "capture" in orders.payments.faults.calls, interval_s=0.001)
    leaving.cancel()
    with suppress(asyncio.CancelledError):
        await leaving
    assert (await orders.order(request_id=request_id)).state is State.FULFILLED
    await orders.ensure_consistent()


async def test_the_cart_is_emptied_by_its_own_order(orders: Orders):
    await orders.cart.set_item(ANN, orders.soup, 2)
    order = await orders.order([])
    assert order.lines[0].quantity == 2
    cart = await orders.cart.get(ANN)
    assert (cart.items, cart.venue_id) == ((), "")


async def test_a_cart_that_changed_meanwhile_is_kept(orders: Orders):
    await orders.cart.set_item(ANN, orders.soup, 1)
    request_id = SystemIds().uuid7()
    orders.payments.faults.before["capture"] = [timed_out() for _ in range(3)]
    checkout = asyncio.create_task(orders.order([], request_id=request_id))
    await eventually(lambda: "capture" in orders.payments.faults.calls, interval_s=0.001)
    await orders.cart.set_item(ANN, orders.soup, 3)
    assert (await checkout).lines[0].quantity == 1
    assert (await orders.cart.get(ANN)).items == ((orders.soup, 3),)


async def test_an_order_of_named_items_or_a_failed_one_leaves_the_cart_alone(orders: Orders):
    await orders.cart.set_item(ANN, orders.soup, 2)
    await orders.order([(orders.soup, 1)])
    await refused("PAYMENT_DECLINED", orders.order([], method="pm_declined"))
    assert (await orders.cart.get(ANN)).items == ((orders.soup, 2),)
