"""A service that is away opens the breaker of who calls it, and of nobody else, until it is back."""

import asyncio
from collections.abc import AsyncIterator
from functools import partial

import pytest
import pytest_asyncio
from google.protobuf.duration_pb2 import Duration

from chassis.testing import eventually
from fleet.client import CallFailed
from greenledger.control.v1 import events_pb2, traffic_pb2
from greenledger.events.v1.event_pb2 import Event
from greenledger.orders.v1 import orders_pb2
from tests.resilience.fleet.market import new_id
from tests.resilience.traffic.conftest import Steered

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]
AWAY = ("catalog", "catalog-2")
FAILURES = 5
CALLS = 100
OPEN, CLOSED = 2, 0


async def test_a_breaker_opens_for_the_service_that_is_away_and_closes_when_it_is_back(
    steered: Steered,
) -> None:
    live = steered.live
    breaker = traffic_pb2.Breaker(consecutive_failures=FAILURES, reset=Duration(seconds=2))
    await _set(steered, traffic_pb2.TrafficPolicy(breaker=breaker, retries=traffic_pb2.Retries(attempts=1)))
    for name in AWAY:
        await live.kill(name)
    for _ in range(FAILURES):
        assert await _refusal(steered) == ""
    assert await steered.counted("orders", "greenledger_client_breaker_state", callee="catalog") == OPEN
    sent = await steered.counted("orders", "greenledger_client_attempts_total", callee="catalog")
    assert sent >= FAILURES
    assert await _refusal(steered) == "breaker"
    for other in ("inventory", "payments"):
        assert await steered.counted("orders", "greenledger_client_breaker_state", callee=other) == CLOSED
        assert not await steered.counted("orders", "greenledger_client_refused_total", callee=other)
    for name in AWAY:
        await live.start_service(name)

    await eventually(partial(_check_out, steered), 60, ignore=(CallFailed,))
    assert await steered.counted("orders", "greenledger_client_breaker_state", callee="catalog") == CLOSED
    told = await eventually(lambda: _told(steered), 20)
    assert told[0] == "OPEN"
    assert told[-2:] == ["HALF_OPEN", "CLOSED"]
    # Between the two: one call that tried at a time, and each that failed opened it again.
    assert told[1:-1:2] == ["HALF_OPEN"] * (len(told) // 2)


@pytest_asyncio.fixture(loop_scope="session")
async def again(steered: Steered) -> AsyncIterator[None]:
    """Afterwards every process of orders is answered by catalog."""
    yield
    await steered.live.revive()
    for name in ("orders", "orders-2"):
        await eventually(partial(_check_out, steered, name), 60, ignore=(CallFailed,))


@pytest.mark.usefixtures("again")
async def test_a_service_that_is_away_is_not_stormed_by_retries(steered: Steered) -> None:
    live = steered.live
    retries = traffic_pb2.Retries(backoff=Duration(seconds=1), max_backoff=Duration(seconds=1))
    breaker = traffic_pb2.Breaker(disabled=True)
    await _set(steered, traffic_pb2.TrafficPolicy(breaker=breaker, retries=retries))
    for name in AWAY:
        await live.kill(name)
    before = await steered.counted("orders", "greenledger_client_attempts_total", callee="catalog")
    assert set(await asyncio.gather(*(_refusal(steered) for _ in range(CALLS)))) == {""}
    made = await steered.counted("orders", "greenledger_client_attempts_total", callee="catalog") - before
    # Without a budget it would be three for each call. With it those retries are made that are a fifth of the
    # calls of the last 10 s, or ten.
    assert CALLS < made <= CALLS * 1.5
    assert await steered.counted("orders", "greenledger_client_refused_total", callee="catalog", why="budget")


async def _set(steered: Steered, policy: traffic_pb2.TrafficPolicy) -> None:
    """Set the policy of catalog and wait until orders goes by it."""
    applied = _applied(steered)
    await steered.set_policy(policy)
    await eventually(lambda: _applied(steered) > applied, 20)


def _applied(steered: Steered) -> int:
    lines = steered.live.log("orders").splitlines()
    return sum("traffic.policy_applied" in line and '"catalog"' in line for line in lines)


async def _check_out(steered: Steered, name: str = "orders") -> bool:
    """A call to one process of orders that asks catalog."""
    rpc, market = steered.live.rpc(name), steered.market
    request = orders_pb2.CheckoutRequest(
        request_id=new_id(),
        payment_method="pm_card",
        items=[orders_pb2.CartItem(menu_item_id=market.goods.menu_item_id, quantity=1)],
    )
    await rpc.call(rpc.orders.Checkout, request, market.guest)
    return True


async def _refusal(steered: Steered) -> str:
    """What kept orders from asking catalog; empty when it asked."""
    with pytest.raises(CallFailed) as refused:
        await _check_out(steered)
    assert refused.value.code == "UNAVAILABLE", refused.value
    return refused.value.metadata.get("cause", "")


async def _told(steered: Steered) -> list[str]:
    sql = "SELECT payload FROM outbox WHERE topic = $1 AND key = $2 ORDER BY position"
    rows = await steered.live.fetch("orders", sql, "control.breaker-changed", "orders/catalog")
    found = []
    for row in rows:
        change = events_pb2.BreakerChanged()
        assert Event.FromString(row["payload"]).payload.Unpack(change)
        if change.instance_id == "orders":
            name: str = events_pb2.BreakerState.Name(change.state)
            found.append(name.removeprefix("BREAKER_STATE_"))
    assert found[-1:] == ["CLOSED"], found
    return found
