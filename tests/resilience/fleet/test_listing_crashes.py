"""SIGKILL of market and crops at every crash point of listings: for sale and committed, or neither."""

from typing import Any

import pytest

from chassis.saga import ENGINE_CRASHPOINTS
from chassis.testing import eventually
from fleet.testing.live import LiveFleet
from greenledger.market.v1 import market_pb2
from services.crops.application.commitments import COMMIT_CRASHPOINTS, RELEASE_CRASHPOINTS
from services.market.application.listing_sagas import ListingSteps
from tests.resilience.fleet import invariants, trade
from tests.resilience.fleet.crashes import (
    killed_by_its_crash_point,
    points_by_step,
    wait_for_its_death,
)
from tests.resilience.fleet.market import Market, new_id
from tests.resilience.fleet.trade import KILOGRAMS

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

_NOBODY: Any = None
STEPS = ListingSteps(_NOBODY, _NOBODY, _NOBODY, _NOBODY, _NOBODY)
POINTS = points_by_step(STEPS.list_lot())
RELEASING = list(points_by_step(STEPS.release_listing()))
STARTED, CLAIMED = ENGINE_CRASHPOINTS
TURNING_BACK = [point for point, step in POINTS.items() if step == ("commit", "undo")]
ON_THE_WAY = [STARTED, *(point for point in POINTS if point not in TURNING_BACK)]
COMMITTED = "saga.list_lot.commit.action.after_effect"


@pytest.mark.parametrize("point", ON_THE_WAY)
async def test_a_listing_survives_a_killed_orchestrator(market: Market, live: LiveFleet, point: str) -> None:
    lot_id, request_id = await market.mint("carrot", KILOGRAMS), new_id()
    await live.restart("market", point)
    await killed_by_its_crash_point(live, "market", trade.create_listing(market, lot_id, request_id))
    await live.start_service("market")
    await _listed(market, lot_id, request_id)


async def test_a_listing_survives_an_orchestrator_killed_as_it_claims_it(
    market: Market, live: LiveFleet
) -> None:
    lot_id, request_id = await market.mint("carrot", KILOGRAMS), new_id()
    await live.restart("market", STARTED)
    await killed_by_its_crash_point(live, "market", trade.create_listing(market, lot_id, request_id))
    await live.start_service("market", CLAIMED)
    await wait_for_its_death(live, "market")
    await live.start_service("market")
    await _listed(market, lot_id, request_id)


@pytest.mark.parametrize("point", COMMIT_CRASHPOINTS)
async def test_a_listing_survives_a_killed_crops(market: Market, live: LiveFleet, point: str) -> None:
    lot_id, request_id = await market.mint("carrot", KILOGRAMS), new_id()
    await live.restart("crops", point)
    asking = trade.create_listing(market, lot_id, request_id)
    await killed_by_its_crash_point(live, "crops", asking, restart=True)
    await _listed(market, lot_id, request_id)


@pytest.mark.parametrize("point", TURNING_BACK)
async def test_a_listing_that_turns_back_leaves_the_goods_free_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    lot_id, request_id = await market.mint("carrot", KILOGRAMS), new_id()
    await live.restart("market", COMMITTED)
    await killed_by_its_crash_point(live, "market", trade.create_listing(market, lot_id, request_id))
    await trade.release_behind(live, lot_id)
    await live.start_service("market", point)
    await wait_for_its_death(live, "market")
    await live.start_service("market")
    await invariants.check(live)
    assert await trade.committed(live, lot_id) == (KILOGRAMS, 0)
    await _listed(market, lot_id, request_id)


@pytest.mark.parametrize("point", RELEASING)
async def test_a_cancelled_listing_frees_its_goods_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    listing, request_id = await trade.listed(market), new_id()
    await live.restart("market", point)
    cancelling = trade.cancel_listing(market, listing.listing_id, request_id)
    await killed_by_its_crash_point(live, "market", cancelling)
    await live.start_service("market")
    await _cancelled(market, listing, request_id)


@pytest.mark.parametrize("point", RELEASE_CRASHPOINTS)
async def test_a_cancelled_listing_frees_its_goods_in_a_crops_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    listing, request_id = await trade.listed(market), new_id()
    await live.restart("crops", point)
    cancelling = trade.cancel_listing(market, listing.listing_id, request_id)
    await killed_by_its_crash_point(live, "crops", cancelling, restart=True)
    await _cancelled(market, listing, request_id)


async def test_every_listing_of_these_crashes_is_known_everywhere_once(live: LiveFleet) -> None:
    await invariants.check(live)
    await invariants.check_events(live)


async def _listed(market: Market, lot_id: str, request_id: str) -> None:
    """Ask again until it is for sale; asked once more it is the same listing, and there is no more."""
    asked = [
        await market.patiently(lambda: trade.create_listing(market, lot_id, request_id)) for _ in range(2)
    ]
    assert not isinstance(asked[0], str), asked[0]
    assert asked[0] == asked[1]
    assert asked[0].remaining.amount == str(KILOGRAMS)
    refusal = await market.patiently(lambda: trade.create_listing(market, lot_id, new_id()))
    assert refusal == "QUANTITY_EXCEEDED"
    await invariants.check(market.live)
    assert await trade.committed(market.live, lot_id) == (KILOGRAMS, KILOGRAMS)


async def _cancelled(market: Market, listing: market_pb2.Listing, request_id: str) -> None:
    answer = await market.patiently(lambda: trade.cancel_listing(market, listing.listing_id, request_id))
    assert not isinstance(answer, str), answer
    assert answer.state == market_pb2.LISTING_STATE_CANCELLED

    async def free() -> bool:
        return await trade.committed(market.live, listing.lot_id) == (KILOGRAMS, 0)

    await eventually(free, 30)
    await invariants.check(market.live)
