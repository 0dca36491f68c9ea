"""SIGKILL of orders at every crash point of the checkout saga: it ends, and money and stock agree with it."""

from typing import Any

import pytest

from chassis.saga import ENGINE_CRASHPOINTS
from fleet.testing.live import LiveFleet
from services.orders.application.checkout_saga import CheckoutSteps
from tests.resilience.fleet import invariants, steps
from tests.resilience.fleet.crashes import (
    keep_dying,
    killed_by_its_crash_point,
    points_by_step,
    wait_for_its_death,
)
from tests.resilience.fleet.market import DECLINED_CARD, Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

_NOBODY: Any = None
POINTS = points_by_step(CheckoutSteps(_NOBODY, _NOBODY, _NOBODY, _NOBODY, _NOBODY, _NOBODY).saga())
# How an undo comes to be needed; whatever is not named here is expected on the way of an order that succeeds.
DECLINED = {("reserve", "undo"), ("fail", "action")}
RELEASED = {("authorize", "undo")}
VOIDED = {("capture", "undo")}
STARTED, CLAIMED = ENGINE_CRASHPOINTS


def _points(steps: set[tuple[str, str]]) -> list[str]:
    return [point for point, step in POINTS.items() if step in steps]


SPECIAL = {*_points(DECLINED), *_points(RELEASED), *_points(VOIDED)}
ON_THE_WAY = [STARTED, *(point for point in POINTS if point not in SPECIAL)]
REFUNDING = _points({("consume", "action"), ("refund", "action"), ("finish", "action")})


@pytest.mark.parametrize("point", ON_THE_WAY)
async def test_an_order_survives_a_killed_orchestrator(market: Market, live: LiveFleet, point: str) -> None:
    request_id = new_id()
    await live.restart("orders", point)
    await killed_by_its_crash_point(live, "orders", market.order(request_id))
    await live.start_service("orders")
    assert await market.outcome(request_id) == "FULFILLED"
    await invariants.check(live)


@pytest.mark.parametrize("point", _points(DECLINED))
async def test_a_declined_order_gives_its_stock_back_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    request_id = new_id()
    await live.restart("orders", point)
    await killed_by_its_crash_point(live, "orders", market.order(request_id, method=DECLINED_CARD))
    await live.start_service("orders")
    assert await market.outcome(request_id, method=DECLINED_CARD) == "PAYMENT_DECLINED"
    await invariants.check(live)


@pytest.mark.parametrize("point", _points(RELEASED))
async def test_an_authorized_order_that_turns_back_lets_go_of_the_money_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    request_id = await steps.order_killed_at(market, "saga.checkout.authorize.action.after_record")
    await steps.release(live, await market.order_id(request_id))
    await live.start_service("orders", point)
    await wait_for_its_death(live, "orders")
    await live.start_service("orders")
    assert await market.outcome(request_id) == "CHECKOUT_FAILED"
    await invariants.check(live)


@pytest.mark.parametrize("point", _points(VOIDED))
async def test_a_capture_whose_outcome_was_in_doubt_is_undone_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    request_id = await steps.order_killed_at(market, "saga.checkout.capture.action.before")
    await steps.void(live, await market.order_id(request_id))
    await live.start_service("orders", point)
    await wait_for_its_death(live, "orders")
    await live.start_service("orders")
    assert await market.outcome(request_id) == "CHECKOUT_FAILED"
    await invariants.check(live)


@pytest.mark.parametrize("point", REFUNDING)
async def test_a_recall_after_the_capture_refunds_once_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    goods = await market.stocked(kilograms=5)
    request_id = await steps.order_killed_at(
        market, "saga.checkout.capture.action.after_record", goods.menu_item_id
    )
    await market.recall(goods.lot_id)
    await live.start_service("orders", point)
    await wait_for_its_death(live, "orders")
    await live.start_service("orders")
    assert await market.outcome(request_id, goods.menu_item_id) == "LOT_RECALLED"
    await steps.refunded_once(live, await market.order_id(request_id))
    await invariants.check(live)


async def test_an_order_survives_an_orchestrator_killed_as_it_claims_it(
    market: Market, live: LiveFleet
) -> None:
    request_id = await steps.order_killed_at(market, STARTED)
    await live.start_service("orders", CLAIMED)
    await wait_for_its_death(live, "orders")
    await live.start_service("orders")
    assert await market.outcome(request_id) == "FULFILLED"
    await invariants.check(live)


@pytest.mark.parametrize("step", ["reserve", "authorize"])
async def test_an_order_whose_orchestrator_always_dies_at_one_step_is_given_up_and_undone(
    market: Market, live: LiveFleet, step: str
) -> None:
    point = f"saga.checkout.{step}.action.after_effect"
    request_id = await steps.order_killed_at(market, point)
    await keep_dying(live, "orders", point, times=4)
    await live.start_service("orders")
    assert await market.outcome(request_id) == "CHECKOUT_FAILED"
    await invariants.check(live)


async def test_every_order_of_these_crashes_is_known_everywhere_once(live: LiveFleet) -> None:
    await invariants.check(live)
    await invariants.check_events(live)
