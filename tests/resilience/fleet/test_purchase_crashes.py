"""SIGKILL of market, crops and payments at every crash point of a purchase: what is captured is delivered."""

import asyncio
from typing import Any

import pytest

from chassis.saga import ENGINE_CRASHPOINTS
from fleet.testing.live import LiveFleet
from services.crops.application.deliver_committed import DELIVER_CRASHPOINTS
from services.market.application.purchase_saga import PurchaseSteps
from services.payments.application.authorize import AUTHORIZE_CRASHPOINTS
from services.payments.application.capture import CAPTURE_CRASHPOINTS
from services.payments.application.refund import REFUND_CRASHPOINTS
from tests.resilience.fleet import invariants, steps, trade
from tests.resilience.fleet.crashes import (
    keep_dying,
    killed_by_its_crash_point,
    points_by_step,
    wait_for_its_death,
)
from tests.resilience.fleet.market import CARD, DECLINED_CARD, Market, new_id
from tests.resilience.fleet.trade import BOUGHT, KILOGRAMS

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

_NOBODY: Any = None
POINTS = points_by_step(PurchaseSteps(_NOBODY, _NOBODY, _NOBODY, _NOBODY, _NOBODY, _NOBODY).saga())
STARTED, CLAIMED = ENGINE_CRASHPOINTS
AUTHORIZED = "saga.purchase.authorize.action.after_record"
CAPTURED = "saga.purchase.capture.action.after_record"


def _points(*steps_of: tuple[str, str]) -> list[str]:
    return [point for point, step in POINTS.items() if step in steps_of]


DECLINED = _points(("fail", "action"))
UNAUTHORIZED = _points(("authorize", "undo"))
VOIDED = _points(("capture", "undo"))
ON_THE_WAY = [STARTED, *(each for each in POINTS if each not in {*DECLINED, *UNAUTHORIZED, *VOIDED})]
REFUNDING = _points(("deliver", "action"), ("refund", "action"), ("finish", "action"))


@pytest.mark.parametrize("point", ON_THE_WAY)
async def test_a_purchase_survives_a_killed_orchestrator(market: Market, live: LiveFleet, point: str) -> None:
    listing = await trade.listed(market)
    request_id = await trade.bought_killed_at(market, listing.listing_id, point)
    await live.start_service("market")
    await _completed(market, listing, request_id)


async def test_a_purchase_survives_an_orchestrator_killed_as_it_claims_it(
    market: Market, live: LiveFleet
) -> None:
    listing = await trade.listed(market)
    request_id = await trade.bought_killed_at(market, listing.listing_id, STARTED)
    await live.start_service("market", CLAIMED)
    await wait_for_its_death(live, "market")
    await live.start_service("market")
    await _completed(market, listing, request_id)


@pytest.mark.parametrize("point", DELIVER_CRASHPOINTS)
async def test_a_purchase_is_delivered_once_by_a_crops_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _dying(market, "crops", point)


@pytest.mark.parametrize("point", CAPTURE_CRASHPOINTS)
async def test_a_purchase_is_paid_once_to_a_payments_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _dying(market, "payments", point)


@pytest.mark.parametrize("point", AUTHORIZE_CRASHPOINTS)
async def test_a_purchase_whose_payment_dies_early_is_paid_or_given_up(
    market: Market, live: LiveFleet, point: str
) -> None:
    listing, request_id = await trade.listed(market), new_id()
    await live.restart("payments", point)
    asking = trade.buy(market, listing.listing_id, request_id)
    await killed_by_its_crash_point(live, "payments", asking, restart=True)
    if await trade.outcome(market, listing.listing_id, request_id) == "COMPLETED":
        await _completed(market, listing, request_id)
    else:
        await _came_to_nothing(market, listing, request_id, "PURCHASE_FAILED")


@pytest.mark.parametrize("point", DECLINED)
async def test_a_declined_purchase_gives_its_goods_back_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    listing, request_id = await trade.listed(market), new_id()
    await live.restart("market", point)
    asking = trade.buy(market, listing.listing_id, request_id, DECLINED_CARD)
    await killed_by_its_crash_point(live, "market", asking)
    await live.start_service("market")
    await _came_to_nothing(market, listing, request_id, "PAYMENT_DECLINED", DECLINED_CARD)


@pytest.mark.parametrize("point", UNAUTHORIZED)
async def test_an_authorized_purchase_that_turns_back_lets_go_of_the_money_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _voided_after(market, AUTHORIZED, point)


@pytest.mark.parametrize("point", VOIDED)
async def test_a_capture_whose_outcome_was_in_doubt_is_undone_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _voided_after(market, "saga.purchase.capture.action.before", point)


@pytest.mark.parametrize("point", REFUNDING)
async def test_a_recall_between_payment_and_delivery_refunds_once_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    listing = await trade.listed(market)
    request_id = await trade.bought_killed_at(market, listing.listing_id, CAPTURED)
    await trade.recall(market, listing.lot_id)
    await live.start_service("market", point)
    await wait_for_its_death(live, "market")
    await live.start_service("market")
    await _came_to_nothing(market, listing, request_id, "LOT_RECALLED")
    await steps.refunded_once(live, await trade.purchase_id(live, request_id))


@pytest.mark.parametrize("point", REFUND_CRASHPOINTS)
async def test_a_recalled_purchase_is_refunded_once_by_a_payments_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    listing = await trade.listed(market)
    request_id = await trade.bought_killed_at(market, listing.listing_id, CAPTURED)
    await trade.recall(market, listing.lot_id)
    await live.restart("payments", point)
    await live.start_service("market")
    await wait_for_its_death(live, "payments")
    await live.start_service("payments")
    await _came_to_nothing(market, listing, request_id, "LOT_RECALLED")
    await steps.refunded_once(live, await trade.purchase_id(live, request_id))


@pytest.mark.parametrize("point", DELIVER_CRASHPOINTS)
async def test_a_delivery_that_is_refused_stays_refused_in_a_crops_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    listing = await trade.listed(market)
    request_id = await trade.bought_killed_at(market, listing.listing_id, CAPTURED)
    await trade.recall(market, listing.lot_id)
    await live.restart("crops", point)
    await live.start_service("market")
    await wait_for_its_death(live, "crops")
    await live.start_service("crops")
    await _came_to_nothing(market, listing, request_id, "LOT_RECALLED")


async def test_a_cancellation_during_a_purchase_frees_only_what_is_left(
    market: Market, live: LiveFleet
) -> None:
    listing = await trade.listed(market)
    request_id = await trade.bought_killed_at(market, listing.listing_id, CAPTURED)
    await live.start_service("market")
    await trade.cancel_listing(market, listing.listing_id)
    assert await trade.outcome(market, listing.listing_id, request_id) == "COMPLETED"
    await invariants.check(live)
    assert await trade.committed(live, listing.lot_id) == (KILOGRAMS - BOUGHT, 0)


async def test_buyers_who_compete_while_the_market_dies_get_what_there_is_and_no_more(
    market: Market, live: LiveFleet
) -> None:
    listing = await trade.listed(market)
    requests = [new_id() for _ in range(5)]
    await live.restart("market", f"{CAPTURED}@2")
    first = [trade.buy(market, listing.listing_id, request_id) for request_id in requests]
    await killed_by_its_crash_point(live, "market", asyncio.gather(*first, return_exceptions=True))
    await live.start_service("market")
    outcomes = [await trade.outcome(market, listing.listing_id, request_id) for request_id in requests]
    assert sorted(outcomes) == ["COMPLETED"] * 3 + ["QUANTITY_EXCEEDED"] * 2
    await invariants.check(live)
    assert await trade.committed(live, listing.lot_id) == (1, 1)


async def test_a_purchase_whose_orchestrator_always_dies_at_its_authorization_is_given_up_and_undone(
    market: Market, live: LiveFleet
) -> None:
    point = "saga.purchase.authorize.action.after_effect"
    listing = await trade.listed(market)
    request_id = await trade.bought_killed_at(market, listing.listing_id, point)
    await keep_dying(live, "market", point, times=4)
    await live.start_service("market")
    await _came_to_nothing(market, listing, request_id, "PURCHASE_FAILED")


async def test_every_purchase_of_these_crashes_is_known_everywhere_once(live: LiveFleet) -> None:
    await invariants.check(live)
    await invariants.check_events(live)


async def _completed(market: Market, listing: Any, request_id: str) -> None:
    """Ask again until it is delivered; asked once more, nothing moves."""
    for _ in range(2):
        assert await trade.outcome(market, listing.listing_id, request_id) == "COMPLETED"
    await invariants.check(market.live)
    left = KILOGRAMS - BOUGHT
    assert await trade.committed(market.live, listing.lot_id) == (left, left)


async def _came_to_nothing(
    market: Market, listing: Any, request_id: str, reason: str, method: str = CARD
) -> None:
    assert await trade.outcome(market, listing.listing_id, request_id, method) == reason
    await invariants.check(market.live)
    assert await trade.committed(market.live, listing.lot_id) == (KILOGRAMS, KILOGRAMS)


async def _dying(market: Market, service: str, point: str) -> None:
    listing, request_id = await trade.listed(market), new_id()
    await market.live.restart(service, point)
    asking = trade.buy(market, listing.listing_id, request_id)
    await killed_by_its_crash_point(market.live, service, asking, restart=True)
    await _completed(market, listing, request_id)


async def _voided_after(market: Market, died_at: str, point: str) -> None:
    listing = await trade.listed(market)
    request_id = await trade.bought_killed_at(market, listing.listing_id, died_at)
    await steps.void(market.live, await trade.purchase_id(market.live, request_id))
    await market.live.start_service("market", point)
    await wait_for_its_death(market.live, "market")
    await market.live.start_service("market")
    await _came_to_nothing(market, listing, request_id, "PURCHASE_FAILED")
