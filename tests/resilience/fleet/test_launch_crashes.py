"""SIGKILL of market and crops at every crash point of a launch: lot, pool and campaign, or nothing."""

from typing import Any

import pytest
import pytest_asyncio

from chassis.saga import ENGINE_CRASHPOINTS
from chassis.testing import eventually
from fleet.testing.live import LiveFleet
from greenledger.crops.v1 import crops_pb2
from greenledger.market.v1 import campaigns_pb2, launches_pb2, pools_pb2
from services.crops.application.commitments import COMMIT_CRASHPOINTS, RELEASE_CRASHPOINTS
from services.market.application.campaigns import TELL_CRASHPOINTS
from services.market.application.launch_saga import LaunchSteps
from tests.resilience.fleet import exchange, invariants
from tests.resilience.fleet.crashes import (
    killed_by_its_crash_point,
    points_by_step,
    wait_for_its_death,
)
from tests.resilience.fleet.market import Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

_NOBODY: Any = None
POINTS = points_by_step(LaunchSteps(*[_NOBODY] * 7).saga())
STARTED, _ = ENGINE_CRASHPOINTS
TURNING_BACK = [point for point, (_, direction) in POINTS.items() if direction == "undo"]
ON_THE_WAY = [STARTED, *(point for point in POINTS if point not in TURNING_BACK)]
FUNDED = "saga.launch_product.look.action.before"


@pytest_asyncio.fixture(loop_scope="session")
async def rich(market: Market) -> Market:
    """The market where the grower has money to launch with."""
    await exchange.pay_in(market, 80, new_id(), market.grower)
    return market


@pytest.mark.parametrize("point", ON_THE_WAY)
async def test_a_launch_survives_a_killed_orchestrator(rich: Market, live: LiveFleet, point: str) -> None:
    request = exchange.wish()
    await live.restart("market", point)
    await killed_by_its_crash_point(live, "market", exchange.launch(rich, request))
    await live.start_service("market")
    await _launched(rich, request)


@pytest.mark.parametrize("point", COMMIT_CRASHPOINTS)
async def test_a_launch_survives_a_killed_crops(rich: Market, live: LiveFleet, point: str) -> None:
    request = exchange.wish()
    await live.restart("crops", point)
    await killed_by_its_crash_point(live, "crops", exchange.launch(rich, request), restart=True)
    await _launched(rich, request)


@pytest.mark.parametrize("point", TURNING_BACK)
async def test_a_launch_that_turns_back_leaves_nothing_in_spite_of_a_crash(
    rich: Market, live: LiveFleet, point: str
) -> None:
    before = await exchange.balances(rich, rich.grower)
    request = await _funded_and_dead(rich)
    await _hold(rich, await _lot_of(live, request))
    await live.start_service("market", point)
    await wait_for_its_death(live, "market")
    await live.start_service("market")
    await _undone(rich, request, before)


@pytest.mark.parametrize("point", RELEASE_CRASHPOINTS)
async def test_goods_of_a_launch_that_turns_back_are_released_by_a_crops_that_dies(
    rich: Market, live: LiveFleet, point: str
) -> None:
    before = await exchange.balances(rich, rich.grower)
    request = await _funded_and_dead(rich)
    await _hold(rich, await _lot_of(live, request))
    await live.restart("crops", point)
    await live.start_service("market")
    await wait_for_its_death(live, "crops")
    await live.start_service("crops")
    await _undone(rich, request, before)


@pytest.mark.parametrize("point", TELL_CRASHPOINTS)
async def test_subscribers_of_a_launched_product_are_told_once_by_a_market_that_dies(
    rich: Market, live: LiveFleet, point: str
) -> None:
    request, rpc = exchange.wish(), live.rpc("market")
    about = campaigns_pb2.SubscribeRequest(product_code=request.lot.product_code)
    people = (rich.guest, rich.owner)
    for person in people:
        await rpc.call(rpc.campaigns.Subscribe, about, person)
    await live.restart("market", point)
    await killed_by_its_crash_point(live, "market", exchange.launch(rich, request))
    await live.start_service("market")
    campaign_id = (await _launched(rich, request)).campaign.campaign_id
    told = "SELECT count(*) FROM campaign_recipient WHERE campaign_id = $1 AND state = 'TOLD'"

    async def all_told() -> bool:
        return bool(await live.fetchval("market", told, campaign_id) == len(people))

    await eventually(all_told, 30)


async def test_every_launch_of_these_crashes_is_known_everywhere_once(live: LiveFleet) -> None:
    await invariants.check(live)
    await invariants.check_events(live)


async def _funded_and_dead(market: Market) -> launches_pb2.LaunchProductRequest:
    """A launch whose pool is funded and not open, of which the market has died."""
    request = exchange.wish()
    await market.live.restart("market", FUNDED)
    await killed_by_its_crash_point(market.live, "market", exchange.launch(market, request))
    return request


async def _launched(market: Market, request: launches_pb2.LaunchProductRequest) -> launches_pb2.Launch:
    """Ask again until it is launched; asked once more, it is the same launch."""
    done = [await market.patiently(lambda: exchange.launch(market, request)) for _ in range(2)]
    launched = done[0]
    assert isinstance(launched, launches_pb2.Launch), launched
    assert isinstance(done[1], launches_pb2.Launch)
    assert (done[1].launch_id, done[1].lot_id, done[1].pool) == (
        launched.launch_id,
        launched.lot_id,
        launched.pool,
    )
    assert launched.pool.state == pools_pb2.POOL_STATE_OPEN
    assert launched.pool.goods == exchange.kilograms(40)
    await invariants.check(market.live)
    assert len(await _minted(market.live, request)) == 1
    assert (await exchange.vault(market.live))[launched.lot_id] == 40
    return launched


async def _undone(market: Market, request: launches_pb2.LaunchProductRequest, before: dict[str, str]) -> None:
    """No pool, no campaign, the lot destroyed, the money back."""
    await invariants.check(market.live)
    live, product = market.live, request.lot.product_code
    states = await live.fetch("market", "SELECT state FROM pool WHERE product_code = $1", product)
    assert [row["state"] for row in states] == ["CLOSED"]
    campaigns = "SELECT count(*) FROM campaign WHERE product_code = $1"
    assert await live.fetchval("market", campaigns, product) == 0
    left = "SELECT state, amount FROM lot_view WHERE lot_id = $1"
    [lot] = await live.fetch("crops", left, await _lot_of(live, request))
    assert lot["state"] == "DESTROYED", dict(lot)
    assert await exchange.balances(market, market.grower) == before


async def _minted(live: LiveFleet, request: launches_pb2.LaunchProductRequest) -> list[str]:
    rows = await live.fetch(
        "crops",
        "SELECT substr(stream_id, 5) AS lot_id FROM event"
        " WHERE type = 'LotMinted' AND data->>'product_code' = $1",
        request.lot.product_code,
    )
    return [row["lot_id"] for row in rows]


async def _lot_of(live: LiveFleet, request: launches_pb2.LaunchProductRequest) -> str:
    [lot_id] = await _minted(live, request)
    return lot_id


async def _hold(market: Market, lot_id: str) -> None:
    """By its owner, so that it may not be sold."""
    crops = market.live.rpc("crops")
    request = crops_pb2.HoldLotRequest(request_id=new_id(), lot_id=lot_id, reason="listeria?")
    await crops.call(crops.crops.HoldLot, request, market.grower)
