"""SIGKILL at every crash point of a recall: its goods are blocked, whoever was served is refunded, once."""

from typing import Any

import pytest

from chassis.idempotency import IDEMPOTENCY_CRASHPOINTS
from chassis.saga import ENGINE_CRASHPOINTS
from chassis.testing import eventually
from fleet.client import CallFailed
from fleet.testing.live import LiveFleet
from services.crops.adapters.recall_saga import recall_saga
from services.orders.application.recalled_order import RecalledOrderSteps
from services.payments.application.refund import REFUND_CRASHPOINTS
from tests.resilience.fleet import invariants, steps
from tests.resilience.fleet.crashes import (
    killed_by_its_crash_point,
    points_by_step,
    wait_for_its_death,
)
from tests.resilience.fleet.market import PRICE_MINOR, Goods, Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

_NOBODY: Any = None
STARTED, CLAIMED = ENGINE_CRASHPOINTS
RECALLING = [STARTED, *points_by_step(recall_saga(_NOBODY))]
# The saga is started by the handler of an event, in its transaction.
REFUNDING = [STARTED, *points_by_step(RecalledOrderSteps(_NOBODY, _NOBODY, _NOBODY, _NOBODY).saga())]


# There is nothing to serve it from, or it is off the menu.
REFUSED = {"OUT_OF_STOCK", "MENU_ITEM_UNAVAILABLE"}


@pytest.mark.parametrize("point", RECALLING)
async def test_a_recall_survives_a_killed_crops(market: Market, live: LiveFleet, point: str) -> None:
    goods, order_id = await _served(market)
    request_id = new_id()
    await live.restart("crops", point)
    await killed_by_its_crash_point(live, "crops", market.recall(goods.lot_id, request_id))
    await live.start_service("crops")
    await _recalled(market, goods, request_id)
    await steps.refunded_once(live, order_id)


async def test_a_recall_survives_a_crops_killed_as_it_claims_it(market: Market, live: LiveFleet) -> None:
    goods, order_id = await _served(market)
    request_id = new_id()
    await live.restart("crops", STARTED)
    await killed_by_its_crash_point(live, "crops", market.recall(goods.lot_id, request_id))
    await live.start_service("crops", CLAIMED)
    await wait_for_its_death(live, "crops")
    await live.start_service("crops")
    await _recalled(market, goods, request_id)
    await steps.refunded_once(live, order_id)


@pytest.mark.parametrize("point", IDEMPOTENCY_CRASHPOINTS)
async def test_a_recall_survives_a_killed_inventory(market: Market, live: LiveFleet, point: str) -> None:
    goods, order_id = await _served(market)
    request_id = new_id()
    await live.restart("inventory", point)
    asking = market.recall(goods.lot_id, request_id)
    await killed_by_its_crash_point(live, "inventory", asking, restart=True)
    await _recalled(market, goods, request_id)
    await steps.refunded_once(live, order_id)


@pytest.mark.parametrize("point", REFUNDING)
async def test_a_served_order_is_refunded_once_by_an_orders_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    goods, order_id = await _served(market)
    request_id = new_id()
    await live.restart("orders", point)
    await market.recall(goods.lot_id, request_id)
    await wait_for_its_death(live, "orders")
    await live.start_service("orders")
    await _recalled(market, goods, request_id)
    await steps.refunded_once(live, order_id)


@pytest.mark.parametrize("point", REFUND_CRASHPOINTS)
async def test_a_served_order_is_refunded_once_by_a_payments_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    goods, order_id = await _served(market)
    request_id = new_id()
    await live.restart("payments", point)
    await market.recall(goods.lot_id, request_id)
    await wait_for_its_death(live, "payments")
    await live.start_service("payments")
    await _recalled(market, goods, request_id)
    await steps.refunded_once(live, order_id)


async def test_a_recall_is_not_answered_before_a_dead_inventory_has_blocked_the_goods(
    market: Market, live: LiveFleet
) -> None:
    goods, _ = await _served(market)
    request_id = new_id()
    await live.kill("inventory")
    with pytest.raises(CallFailed) as late:
        await market.recall(goods.lot_id, request_id)
    assert (late.value.code, late.value.reason) == ("DEADLINE_EXCEEDED", "RECALL_UNDER_WAY")
    await live.start_service("inventory")
    await _recalled(market, goods, request_id)


async def test_several_recalls_of_what_an_order_was_served_are_one_refund(
    market: Market, live: LiveFleet
) -> None:
    goods, order_id = await _served(market)
    await market.recall(goods.lot_id)
    await invariants.check(live)
    await market.release_recall(goods.lot_id)
    await eventually(lambda: _usable(live, goods.lot_id), 20)
    dish = await market.dish(goods.product_code, PRICE_MINOR)
    assert await market.outcome(new_id(), dish) == "FULFILLED"
    await market.recall(goods.lot_id)
    await invariants.check(live)
    await steps.refunded_once(live, order_id)
    recalls = "SELECT cardinality(recall_ids) FROM customer_order WHERE order_id = $1"
    assert await live.fetchval("orders", recalls, order_id) == 2


async def test_what_is_told_of_orders_again_changes_nothing(market: Market, live: LiveFleet) -> None:
    """Inventory's relay sends all there ever was, and orders knows."""
    goods, order_id = await _served(market)
    await market.recall(goods.lot_id)
    await invariants.check(live)
    sagas = "SELECT count(*) FROM saga WHERE name = 'refund_recalled'"
    before = await live.fetchval("orders", sagas)
    await live.kill("inventory")
    await live.fetch("inventory", "UPDATE relay_cursor SET position = 0")
    await live.start_service("inventory")
    caught_up = "SELECT (SELECT max(position) FROM outbox) <= max(position) FROM relay_cursor"
    await eventually(lambda: live.fetchval("inventory", caught_up), 20)
    await invariants.check_events(live)
    assert await live.fetchval("orders", sagas) == before
    await steps.refunded_once(live, order_id)


async def test_every_recall_of_these_crashes_is_known_everywhere_once(live: LiveFleet) -> None:
    await invariants.check(live)
    await invariants.check_events(live)


async def _served(market: Market) -> tuple[Goods, str]:
    """Goods of which an order was served; the order's id."""
    goods = await market.stocked(kilograms=5)
    request_id = new_id()
    assert await market.outcome(request_id, goods.menu_item_id) == "FULFILLED"
    return goods, await market.order_id(request_id)


async def _recalled(market: Market, goods: Goods, request_id: str) -> None:
    """Ask again until it is answered; asked once more it is the same. Then nothing is served any more."""
    answers = [await market.patiently(lambda: market.recall(goods.lot_id, request_id)) for _ in range(2)]
    assert not isinstance(answers[0], str), answers[0]
    assert answers[0] == answers[1]
    assert await market.outcome(new_id(), goods.menu_item_id) in REFUSED
    recorded = "SELECT count(*) FROM event WHERE stream_id = 'lot-' || $1 AND type = 'LotRecalled'"
    assert await market.live.fetchval("crops", recorded, goods.lot_id) == 1
    await invariants.check(market.live)


async def _usable(live: LiveFleet, lot_id: str) -> bool:
    blocked = await live.fetchval(
        "inventory", "SELECT bool_or(quarantined) FROM stock_item WHERE lot_id = $1", lot_id
    )
    return not blocked
