"""SIGKILL of inventory and crops at every crash point of a receipt: in stock and committed, or neither."""

import asyncio
from typing import Any

import pytest

from chassis import crashpoints
from chassis.saga import ENGINE_CRASHPOINTS
from chassis.testing import eventually
from fleet.testing.live import LiveFleet
from greenledger.crops.v1 import crops_pb2
from services.crops.application.commitments import COMMIT_CRASHPOINTS, RELEASE_CRASHPOINTS
from services.crops.application.deliver_committed import DELIVER_CRASHPOINTS
from services.inventory.application.receipt_saga import ReceiptSteps
from tests.resilience.fleet import invariants
from tests.resilience.fleet.crashes import (
    keep_dying,
    killed_by_its_crash_point,
    points_by_step,
    wait_for_its_death,
)
from tests.resilience.fleet.market import Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

_NOBODY: Any = None
POINTS = points_by_step(ReceiptSteps(_NOBODY, _NOBODY, _NOBODY, _NOBODY).saga())
STARTED, CLAIMED = ENGINE_CRASHPOINTS
TURNING_BACK = [point for point, step in POINTS.items() if step == ("commit", "undo")]
ON_THE_WAY = [STARTED, *(point for point in POINTS if point not in TURNING_BACK)]
COMMITTED = "saga.receive_stock.commit.action.after_effect"
KILOGRAMS = 10


async def test_every_crash_point_of_crops_has_its_case() -> None:
    tried = {*COMMIT_CRASHPOINTS, *RELEASE_CRASHPOINTS, *DELIVER_CRASHPOINTS}
    assert tried == {point for point in crashpoints.declared() if point.startswith("crops.")}


@pytest.mark.parametrize("point", ON_THE_WAY)
async def test_a_receipt_survives_a_killed_orchestrator(market: Market, live: LiveFleet, point: str) -> None:
    lot_id, request_id = await _lot(market), new_id()
    await live.restart("inventory", point)
    await killed_by_its_crash_point(live, "inventory", market.receive(lot_id, KILOGRAMS, request_id))
    await live.start_service("inventory")
    await _received(market, lot_id, request_id)


async def test_a_receipt_survives_an_orchestrator_killed_as_it_claims_it(
    market: Market, live: LiveFleet
) -> None:
    lot_id, request_id = await _lot(market), new_id()
    await live.restart("inventory", STARTED)
    await killed_by_its_crash_point(live, "inventory", market.receive(lot_id, KILOGRAMS, request_id))
    await live.start_service("inventory", CLAIMED)
    await wait_for_its_death(live, "inventory")
    await live.start_service("inventory")
    await _received(market, lot_id, request_id)


@pytest.mark.parametrize("point", COMMIT_CRASHPOINTS)
async def test_a_receipt_survives_a_killed_crops(market: Market, live: LiveFleet, point: str) -> None:
    lot_id, request_id = await _lot(market), new_id()
    await live.restart("crops", point)
    asking = market.receive(lot_id, KILOGRAMS, request_id)
    await killed_by_its_crash_point(live, "crops", asking, restart=True)
    await _received(market, lot_id, request_id)


@pytest.mark.parametrize("point", TURNING_BACK)
async def test_a_receipt_that_turns_back_leaves_the_goods_free_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    lot_id, request_id = await _committed_and_dead(market)
    await _release(live, lot_id)
    await live.start_service("inventory", point)
    await wait_for_its_death(live, "inventory")
    await live.start_service("inventory")
    await invariants.check(live)
    assert await _stock(live, lot_id) == []
    await _received(market, lot_id, request_id)


@pytest.mark.parametrize("point", RELEASE_CRASHPOINTS)
async def test_goods_of_a_recalled_lot_are_released_by_a_crops_that_dies(
    market: Market, live: LiveFleet, point: str
) -> None:
    lot_id, request_id = await _committed_and_dead(market)
    await _recalled_and_not_blocked(market, lot_id)
    # What the recall does to inventory; here it is sure to come before the receipt goes on.
    quarantine = "INSERT INTO quarantined_lot (lot_id, reason) VALUES ($1, 'listeria')"
    await live.fetch("inventory", quarantine, lot_id)
    await live.restart("crops", point)
    await live.start_service("inventory")
    await wait_for_its_death(live, "crops")
    await live.start_service("crops")
    refusal = await market.patiently(lambda: market.receive(lot_id, KILOGRAMS, request_id))
    assert refusal == "LOT_RECALLED"
    await invariants.check(live)
    assert await _stock(live, lot_id) == []


async def test_a_recall_while_inventory_is_dead_leaves_nothing_that_can_be_sold(
    market: Market, live: LiveFleet
) -> None:
    lot_id, request_id = await _committed_and_dead(market)
    await _recalled_and_not_blocked(market, lot_id)
    await live.start_service("inventory")
    answer = await market.patiently(lambda: market.receive(lot_id, KILOGRAMS, request_id))
    known = "SELECT count(*) FROM quarantined_lot WHERE lot_id = $1"
    await eventually(lambda: live.fetchval("inventory", known, lot_id), 30)
    await invariants.check(live)
    assert await _stock(live, lot_id) == ([] if answer == "LOT_RECALLED" else [True])


async def test_a_receipt_whose_orchestrator_always_dies_at_one_step_is_given_up_and_released(
    market: Market, live: LiveFleet
) -> None:
    lot_id, request_id = await _committed_and_dead(market)
    await keep_dying(live, "inventory", COMMITTED, times=4)
    await live.start_service("inventory")
    await invariants.check(live)
    assert await _stock(live, lot_id) == []
    await _received(market, lot_id, request_id)


async def test_every_receipt_of_these_crashes_is_known_everywhere_once(live: LiveFleet) -> None:
    await invariants.check(live)
    await invariants.check_events(live)


async def _lot(market: Market) -> str:
    """A lot of the venue's owner, nothing of it in stock."""
    lot_id = await market.mint("carrot", KILOGRAMS)
    await market.transfer(lot_id, market.owner.user_id)
    return lot_id


async def _committed_and_dead(market: Market) -> tuple[str, str]:
    """A lot and the request of its receipt, of which crops has committed the goods and inventory died."""
    lot_id, request_id = await _lot(market), new_id()
    await market.live.restart("inventory", COMMITTED)
    await killed_by_its_crash_point(market.live, "inventory", market.receive(lot_id, KILOGRAMS, request_id))
    return lot_id, request_id


async def _recalled_and_not_blocked(market: Market, lot_id: str) -> None:
    """Recall a lot while inventory is dead: that is recorded, and not answered yet."""
    recalling = asyncio.ensure_future(market.recall(lot_id))
    recorded = "SELECT count(*) FROM event WHERE stream_id = 'lot-' || $1 AND type = 'LotRecalled'"
    await eventually(lambda: market.live.fetchval("crops", recorded, lot_id))
    assert not recalling.done()
    recalling.cancel()
    await asyncio.wait([recalling])


async def _received(market: Market, lot_id: str, request_id: str) -> None:
    """Ask again until the goods are in stock; asked once more, it is the same stock, and there is no more."""
    items = [await market.patiently(lambda: market.receive(lot_id, KILOGRAMS, request_id)) for _ in range(2)]
    assert not isinstance(items[0], str), items[0]
    assert items[0] == items[1]
    assert items[0].on_hand.amount == str(KILOGRAMS)
    assert await market.patiently(lambda: market.receive(lot_id, 1)) == "QUANTITY_EXCEEDED"
    await invariants.check(market.live)
    assert await _stock(market.live, lot_id) == [False]


async def _stock(live: LiveFleet, lot_id: str) -> list[bool]:
    """Of each stock item of a lot whether it is blocked."""
    rows = await live.fetch("inventory", "SELECT quarantined FROM stock_item WHERE lot_id = $1", lot_id)
    return [row["quarantined"] for row in rows]


async def _release(live: LiveFleet, lot_id: str) -> None:
    """Take a lot's commitment back behind its saga's back."""
    crops, token = live.rpc("crops"), await live.token_of("inventory")
    made = """
    SELECT data->>'commitment_id' FROM event
    WHERE stream_id = 'lot-' || $1 AND type = 'LotQuantityCommitted'
    """
    commitment_id: Any = await live.fetchval("crops", made, lot_id)
    request = crops_pb2.ReleaseLotQuantityRequest(
        request_id=new_id(), lot_id=lot_id, commitment_id=commitment_id
    )
    await crops.call(crops.crops.ReleaseLotQuantity, request, token)
