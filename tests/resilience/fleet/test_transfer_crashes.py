"""SIGKILL of crops at every crash point of the transfer saga: the lot has one owner, whoever that is."""

import uuid
from typing import Any

import pytest

from chassis.saga import ENGINE_CRASHPOINTS
from fleet.testing.live import LiveFleet
from services.crops.adapters.sagas import transfer_saga
from tests.resilience.fleet import invariants, steps
from tests.resilience.fleet.crashes import killed_by_its_crash_point, points_by_step, wait_for_its_death
from tests.resilience.fleet.market import Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

_NOBODY: Any = None
POINTS = points_by_step(transfer_saga(_NOBODY, _NOBODY))
STARTED, CLAIMED = ENGINE_CRASHPOINTS
TURNING_BACK = [point for point, step in POINTS.items() if step == ("begin", "undo")]
ON_THE_WAY = [STARTED, *(point for point in POINTS if point not in TURNING_BACK)]


@pytest.mark.parametrize("point", ON_THE_WAY)
async def test_a_transfer_survives_a_killed_orchestrator(market: Market, live: LiveFleet, point: str) -> None:
    lot_id, request_id, owner = await market.mint("carrot"), new_id(), market.owner.user_id
    await live.restart("crops", point)
    await killed_by_its_crash_point(live, "crops", market.transfer(lot_id, owner, request_id))
    await live.start_service("crops")
    await steps.transferred(market, lot_id, request_id)


@pytest.mark.parametrize("point", TURNING_BACK)
async def test_a_transfer_to_nobody_frees_the_lot_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    lot_id, request_id, nobody = await market.mint("carrot"), new_id(), str(uuid.uuid4())
    await live.restart("crops", point)
    await killed_by_its_crash_point(live, "crops", market.transfer(lot_id, nobody, request_id))
    await live.start_service("crops")
    refusal = await market.patiently(lambda: market.transfer(lot_id, nobody, request_id))
    assert refusal == "NEW_OWNER_UNKNOWN"
    await invariants.check(live)
    await steps.transferred(market, lot_id, new_id())


async def test_a_transfer_survives_an_orchestrator_killed_as_it_claims_it(
    market: Market, live: LiveFleet
) -> None:
    lot_id, request_id, owner = await market.mint("carrot"), new_id(), market.owner.user_id
    await live.restart("crops", STARTED)
    await killed_by_its_crash_point(live, "crops", market.transfer(lot_id, owner, request_id))
    await live.start_service("crops", CLAIMED)
    await wait_for_its_death(live, "crops")
    await live.start_service("crops")
    await steps.transferred(market, lot_id, request_id)


async def test_every_transfer_of_these_crashes_is_known_everywhere_once(live: LiveFleet) -> None:
    await invariants.check(live)
    await invariants.check_events(live)
