"""SIGKILL at every crash point between balances and the outside: goods and money count once."""

import uuid
from typing import Any

import pytest

from chassis.saga import ENGINE_CRASHPOINTS
from fleet.testing.live import LiveFleet
from greenledger.crops.v1 import crops_pb2
from greenledger.market.v1 import pools_pb2
from services.crops.application.deliver_committed import DELIVER_CRASHPOINTS
from services.market.application.pool_settle_saga import DELIVER_CRASHPOINTS as PARTS_CRASHPOINTS
from services.market.application.pool_settle_saga import GoodsSteps, MoneySteps
from services.payments.application.capture import CAPTURE_CRASHPOINTS
from services.payments.application.refund import REFUND_CRASHPOINTS
from tests.resilience.fleet import exchange, invariants, steps
from tests.resilience.fleet.crashes import (
    killed_by_its_crash_point,
    points_by_step,
    wait_for_its_death,
)
from tests.resilience.fleet.market import Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

_NOBODY: Any = None
STARTED, _ = ENGINE_CRASHPOINTS
GOODS_IN, GOODS_OUT = (points_by_step(s) for s in GoodsSteps(_NOBODY, _NOBODY, _NOBODY, _NOBODY).sagas())
MONEY_IN, MONEY_OUT = (points_by_step(s) for s in MoneySteps(_NOBODY, _NOBODY, _NOBODY).sagas())


def _forward(points: dict[str, tuple[str, str]]) -> list[str]:
    """Without what only a saga that turns back comes to."""
    return [
        point for point, (step, direction) in points.items() if direction == "action" and step != "give_back"
    ]


@pytest.mark.parametrize("point", [STARTED, *_forward(GOODS_IN)])
async def test_a_deposit_of_goods_survives_a_killed_market(
    market: Market, live: LiveFleet, point: str
) -> None:
    product, lot_id = await _lot(market)
    request_id = new_id()
    await live.restart("market", point)
    asking = exchange.bring(market, lot_id, 10, request_id)
    await killed_by_its_crash_point(live, "market", asking)
    await live.start_service("market")
    await _settled(market, lambda: exchange.bring(market, lot_id, 10, request_id))
    assert (await exchange.balances(market, market.grower))[product] == "10"


@pytest.mark.parametrize("point", [p for p, at in GOODS_IN.items() if at == ("commit", "undo")])
async def test_a_deposit_of_goods_that_turns_back_leaves_them_free_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    product, lot_id = await _lot(market)
    await live.restart("market", "saga.goods_deposit.commit.action.after_effect")
    await killed_by_its_crash_point(live, "market", exchange.bring(market, lot_id, 10, new_id()))
    await _release(live, lot_id)
    await live.start_service("market", point)
    await wait_for_its_death(live, "market")
    await live.start_service("market")
    await invariants.check(live)
    assert product not in await exchange.balances(market, market.grower)


@pytest.mark.parametrize("point", [*_forward(GOODS_OUT), *PARTS_CRASHPOINTS])
async def test_a_withdrawal_of_goods_survives_a_killed_market(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _taken_in_spite_of(market, "market", point)


@pytest.mark.parametrize("point", DELIVER_CRASHPOINTS)
async def test_a_withdrawal_of_goods_survives_a_killed_crops(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _taken_in_spite_of(market, "crops", point)


@pytest.mark.parametrize("point", _forward(MONEY_IN))
async def test_a_deposit_of_money_survives_a_killed_market(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _paid_in_spite_of(market, "market", point)


@pytest.mark.parametrize("point", CAPTURE_CRASHPOINTS)
async def test_a_deposit_of_money_survives_a_killed_payments(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _paid_in_spite_of(market, "payments", point)


@pytest.mark.parametrize("point", [p for p, at in MONEY_IN.items() if at == ("authorize", "undo")])
async def test_a_deposit_of_money_that_turns_back_charges_nothing_in_spite_of_a_crash(
    market: Market, live: LiveFleet, point: str
) -> None:
    await live.restart("market", "saga.money_deposit.authorize.action.after_record")
    await killed_by_its_crash_point(live, "market", exchange.pay_in(market, 7, new_id(), market.owner))
    newest = "SELECT saga_id::text FROM saga WHERE name = 'money_deposit' ORDER BY created_at DESC LIMIT 1"
    await steps.void(live, str(await live.fetchval("market", newest)))
    await live.start_service("market", point)
    await wait_for_its_death(live, "market")
    await live.start_service("market")
    await invariants.check(live)


@pytest.mark.parametrize("point", _forward(MONEY_OUT))
async def test_a_withdrawal_of_money_survives_a_killed_market(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _refunded_in_spite_of(market, "market", point)


@pytest.mark.parametrize("point", REFUND_CRASHPOINTS)
async def test_a_withdrawal_of_money_survives_a_killed_payments(
    market: Market, live: LiveFleet, point: str
) -> None:
    await _refunded_in_spite_of(market, "payments", point)


async def test_what_these_crashes_left_is_known_everywhere_once(live: LiveFleet) -> None:
    await invariants.check(live)
    await invariants.check_events(live)


async def _lot(market: Market) -> tuple[str, str]:
    product = f"leek-{uuid.uuid4().hex[:10]}"
    return product, await market.mint(product, 10)


async def _settled(market: Market, ask: Any) -> pools_pb2.Settlement:
    """Ask again until it is done; asked once more, it is the same settlement."""
    done = [await market.patiently(ask) for _ in range(2)]
    assert isinstance(done[0], pools_pb2.Settlement), done[0]
    assert done[0] == done[1]
    await invariants.check(market.live)
    return done[0]


async def _taken_in_spite_of(market: Market, service: str, point: str) -> None:
    """Two lots are delivered, whole and once."""
    product, lot_id = await _lot(market)
    other, request_id = await market.mint(product, 10), new_id()
    for each in (lot_id, other):
        await exchange.bring(market, each, 10, new_id())
    await market.live.restart(service, point)
    asking = exchange.take(market, product, 15, request_id)
    await killed_by_its_crash_point(market.live, service, asking, restart=service != "market")
    if service == "market":
        await market.live.start_service(service)
    done = await _settled(market, lambda: exchange.take(market, product, 15, request_id))
    assert (done.goods.amount, len(done.lot_ids)) == ("15", 2)
    assert (await exchange.balances(market, market.grower))[product] == "5"


async def _paid_in_spite_of(market: Market, service: str, point: str) -> None:
    before = int((await exchange.balances(market, market.owner)).get("USD", "0"))
    request_id = new_id()
    await market.live.restart(service, point)
    asking = exchange.pay_in(market, 7, request_id, market.owner)
    await killed_by_its_crash_point(market.live, service, asking, restart=service != "market")
    if service == "market":
        await market.live.start_service(service)
    await _settled(market, lambda: exchange.pay_in(market, 7, request_id, market.owner))
    assert int((await exchange.balances(market, market.owner))["USD"]) == before + 7


async def _refunded_in_spite_of(market: Market, service: str, point: str) -> None:
    deposit = await exchange.pay_in(market, 7, new_id(), market.owner)
    before = int((await exchange.balances(market, market.owner))["USD"])
    deposit_id, request_id = deposit.settlement_id, new_id()
    await market.live.restart(service, point)
    asking = exchange.pay_out(market, deposit_id, 3, request_id, market.owner)
    await killed_by_its_crash_point(market.live, service, asking, restart=service != "market")
    if service == "market":
        await market.live.start_service(service)
    await _settled(market, lambda: exchange.pay_out(market, deposit_id, 3, request_id, market.owner))
    left = (await exchange.balances(market, market.owner)).get("USD", "0")
    assert int(left) == before - 3
    await steps.refunded_once(market.live, deposit_id)


async def _release(live: LiveFleet, lot_id: str) -> None:
    """Take a lot's commitment back behind its saga's back."""
    crops, token = live.rpc("crops"), await live.token_of("market")
    made = """
    SELECT data->>'commitment_id' FROM event
    WHERE stream_id = 'lot-' || $1 AND type = 'LotQuantityCommitted'
    """
    commitment_id: Any = await live.fetchval("crops", made, lot_id)
    request = crops_pb2.ReleaseLotQuantityRequest(
        request_id=new_id(), lot_id=lot_id, commitment_id=commitment_id
    )
    await crops.call(crops.crops.ReleaseLotQuantity, request, token)
