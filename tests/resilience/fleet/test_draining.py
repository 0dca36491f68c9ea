"""SIGTERM to orders while checkouts are in flight: they finish, or the next process ends them."""

import asyncio
import signal

import pytest

from fleet.testing.live import LiveFleet
from tests.resilience.fleet import invariants
from tests.resilience.fleet.market import Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]


async def test_checkouts_in_flight_survive_an_orderly_end_and_no_client_sees_a_defect(
    market: Market, live: LiveFleet
) -> None:
    dish = await market.dish(market.goods.product_code, 8888)  # its authorization takes two seconds
    requests = [(new_id(), dish if number % 3 == 0 else "") for number in range(18)]
    asking = [asyncio.ensure_future(market.outcome(*request)) for request in requests]
    await market.order_id(requests[0][0])
    live.send("orders", signal.SIGTERM)
    assert await live.died("orders") == 0
    await live.start_service("orders")
    assert set(await asyncio.gather(*asking)) == {"FULFILLED"}
    assert {refusal.split()[0] for refusal in market.refusals} <= {"UNAVAILABLE", "DEADLINE_EXCEEDED"}
    await invariants.check(live)
    await invariants.check_events(live)
