"""A recall while orders of its goods flow."""

import asyncio

import pytest

from fleet.testing.live import LiveFleet
from tests.resilience.fleet import invariants, steps
from tests.resilience.fleet.market import Goods, Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

GUESTS = 8
SERVED_FIRST = 12


async def test_nothing_of_a_lot_is_served_after_its_recall_and_each_guest_has_the_money_back_once(
    market: Market, live: LiveFleet
) -> None:
    goods, other = await market.stocked(), await market.stocked()
    recalled = asyncio.Event()
    outcomes: list[str] = []

    async def guest(dish: str) -> None:
        # On and on, and once more when the recall is known, so that some are sure to come after it.
        last = False
        while not last:
            last = recalled.is_set()
            outcomes.append(await market.outcome(new_id(), dish))

    flowing = [asyncio.ensure_future(guest(goods.menu_item_id)) for _ in range(GUESTS)]
    elsewhere = asyncio.ensure_future(guest(other.menu_item_id))
    while outcomes.count("FULFILLED") < SERVED_FIRST:
        await asyncio.wait([*flowing, elsewhere], timeout=0.05)
    answer = await market.recall(goods.lot_id)
    served = await _consumed(live, goods)
    recalled.set()
    await asyncio.gather(*flowing, elsewhere)
    await invariants.check(live)
    assert await _consumed(live, goods) == served, "served after the recall was accepted"
    refused = {"OUT_OF_STOCK", "MENU_ITEM_UNAVAILABLE"}
    assert set(outcomes) <= {"FULFILLED", "LOT_RECALLED", *refused}
    assert sum(outcome in refused for outcome in outcomes) >= GUESTS
    await _each_has_all_back_once(live, answer.recall_id, served)
    await invariants.check_events(live)


async def _consumed(live: LiveFleet, goods: Goods) -> set[str]:
    """Orders that goods of the lot have left the stock for."""
    rows = await live.fetch(
        "inventory",
        """
        SELECT DISTINCT order_id::text FROM allocation JOIN reservation USING (order_id)
        WHERE lot_id = $1 AND state = 'CONSUMED'
        """,
        goods.lot_id,
    )
    return {row["order_id"] for row in rows}


async def _each_has_all_back_once(live: LiveFleet, recall_id: str, served: set[str]) -> None:
    told = await live.fetch(
        "inventory", "SELECT order_id::text, consumed FROM affected_order WHERE recall_id = $1", recall_id
    )
    assert {row["order_id"] for row in told if row["consumed"]} == served
    assert len(served) >= SERVED_FIRST // 2
    captured, refunded = 0, 0
    for row in await live.fetch(
        "payments",
        """
        SELECT p.order_id::text, c.captured_minor, c.refunded_minor,
               (SELECT count(*) FROM simulated_refund r WHERE r.key = c.key) AS refunds
        FROM simulated_charge c JOIN payment p ON p.payment_id::text = c.key
        WHERE p.order_id = ANY($1::uuid[])
        """,
        [row["order_id"] for row in told],
    ):
        captured, refunded = captured + row["captured_minor"], refunded + row["refunded_minor"]
        assert row["refunds"] == (1 if row["captured_minor"] else 0), dict(row)
    assert captured == refunded > 0
    for order_id in served:
        await steps.refunded_once(live, order_id)
