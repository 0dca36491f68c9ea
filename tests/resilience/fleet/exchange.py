"""Pools, balances and launches on a live fleet: what people do with them, and what must hold of them."""

import uuid
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp
from google.type.money_pb2 import Money

from fleet.client import Session
from fleet.testing.live import LiveFleet
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.market.v1 import launches_pb2, pools_pb2

if TYPE_CHECKING:
    from tests.resilience.fleet.market import Market

MICRO = Decimal(10) ** 6


def dollars(units: int) -> Money:
    """So much."""
    return Money(currency_code="USD", units=units)


def kilograms(amount: int) -> Quantity:
    """So much."""
    return Quantity(amount=str(amount), unit_code="KGM")


async def pay_in(market: "Market", units: int, request_id: str, by: Session) -> pools_pb2.Settlement:
    """One deposit of money."""
    rpc = market.live.rpc("market")
    request = pools_pb2.DepositMoneyRequest(
        request_id=request_id, amount=dollars(units), payment_method="pm_card"
    )
    return await rpc.call(rpc.pools.DepositMoney, request, by)


async def pay_out(
    market: "Market", deposit_id: str, units: int, request_id: str, by: Session
) -> pools_pb2.Settlement:
    """One withdrawal of money."""
    rpc = market.live.rpc("market")
    request = pools_pb2.WithdrawMoneyRequest(
        request_id=request_id, deposit_id=deposit_id, amount=dollars(units)
    )
    return await rpc.call(rpc.pools.WithdrawMoney, request, by)


async def bring(market: "Market", lot_id: str, amount: int, request_id: str) -> pools_pb2.Settlement:
    """One deposit of goods of a lot of the grower's."""
    rpc = market.live.rpc("market")
    request = pools_pb2.DepositGoodsRequest(request_id=request_id, lot_id=lot_id, quantity=kilograms(amount))
    return await rpc.call(rpc.pools.DepositGoods, request, market.grower)


async def take(market: "Market", product_code: str, amount: int, request_id: str) -> pools_pb2.Settlement:
    """One withdrawal of the grower's goods."""
    rpc = market.live.rpc("market")
    request = pools_pb2.WithdrawGoodsRequest(
        request_id=request_id, product_code=product_code, quantity=kilograms(amount)
    )
    return await rpc.call(rpc.pools.WithdrawGoods, request, market.grower)


async def balances(market: "Market", by: Session) -> dict[str, str]:
    """Goods by product, and dollars."""
    rpc = market.live.rpc("market")
    found = await rpc.call(rpc.pools.GetBalances, pools_pb2.GetBalancesRequest(), by)
    goods = {each.product_code: each.quantity.amount for each in found.goods}
    return goods | {each.currency_code: str(each.units) for each in found.money}


def wish() -> launches_pb2.LaunchProductRequest:
    """A launch of 100 kg of something new, of which 40 and 80 dollars go into the pool."""
    code, now = uuid.uuid4().hex[:10], datetime.now(UTC)
    harvested, expires = Timestamp(), Timestamp()
    harvested.FromDatetime(now - timedelta(days=1))
    expires.FromDatetime(now + timedelta(days=5))
    return launches_pb2.LaunchProductRequest(
        request_id=str(uuid.uuid4()),
        lot=launches_pb2.LaunchLot(
            lot_code=f"NEW-{code}",
            product_code=f"chard-{code}",
            quantity=kilograms(100),
            farm_name="River Farm",
            country_code="US",
            harvest_time=harvested,
            expire_time=expires,
        ),
        liquidity=launches_pb2.LaunchLiquidity(goods=kilograms(40), money=dollars(80), fee_basis_points=30),
        campaign=launches_pb2.LaunchCampaign(title="New chard", message="Come and see."),
    )


async def launch(market: "Market", request: launches_pb2.LaunchProductRequest) -> launches_pb2.Launch:
    """One launch by the grower."""
    rpc = market.live.rpc("market")
    return await rpc.call(rpc.launches.LaunchProduct, request, market.grower)


async def vault(live: LiveFleet) -> dict[str, Decimal]:
    """What of each lot stands behind balances."""
    rows = await live.fetch(
        "market", "SELECT lot_id::text, sum(remaining) AS remaining FROM vault_lot GROUP BY lot_id"
    )
    return {row["lot_id"]: Decimal(row["remaining"]) / MICRO for row in rows}


async def check_books(live: LiveFleet) -> None:
    """Every asset adds up to nothing; pools have what they say; behind the balances are goods and money."""
    sums = await live.fetch(
        "market", "SELECT asset FROM ledger_balance GROUP BY asset HAVING sum(amount) <> 0"
    )
    assert not sums, [dict(row) for row in sums]
    for row in await live.fetch(
        "market",
        """
        SELECT p.*, coalesce(g.amount, 0) AS has_goods, coalesce(m.amount, 0) AS has_money,
            coalesce(-s.amount, 0) AS owed
        FROM pool p
        LEFT JOIN ledger_balance g ON g.holder = 'pool:' || p.pool_id AND g.asset LIKE 'goods:%'
        LEFT JOIN ledger_balance m ON m.holder = 'pool:' || p.pool_id AND m.asset LIKE 'money:%'
        LEFT JOIN ledger_balance s ON s.holder = 'outside' AND s.asset = 'share:' || p.pool_id
        """,
    ):
        booked = (row["has_goods"], row["has_money"], row["owed"])
        assert (row["goods"], row["money"], row["shares"]) == booked, dict(row)
        assert row["state"] != "LAUNCHING", dict(row)
    promised = {
        row["asset"]: row["promised"]
        for row in await live.fetch(
            "market", "SELECT asset, -amount AS promised FROM ledger_balance WHERE holder = 'outside'"
        )
    }
    there = await live.fetch(
        "market",
        "SELECT 'goods:' || product_code || ':' || unit AS asset, sum(remaining) AS amount FROM vault_lot"
        " GROUP BY 1",
    )
    for row in there:
        assert promised[row["asset"]] == row["amount"], dict(row)
    reserved = await live.fetch("market", "SELECT * FROM vault_lot WHERE reserved")
    assert not reserved, [dict(row) for row in reserved]
    await _paid(live, promised.get("money:USD", 0))


async def _paid(live: LiveFleet, promised: int) -> None:
    """What the provider has kept of deposits is what the balances of money add up to."""
    deposits = await live.fetch(
        "market", "SELECT deposit_id::text, amount - withdrawn AS left FROM money_deposit"
    )
    left = {row["deposit_id"]: row["left"] for row in deposits}
    assert sum(left.values()) == promised
    rows = await live.fetch(
        "payments",
        """
        SELECT p.order_id::text, c.captured_minor - c.refunded_minor AS kept
        FROM simulated_charge c JOIN payment p ON p.payment_id::text = c.key
        """,
    )
    kept = {row["order_id"]: row["kept"] for row in rows}
    assert {deposit_id: kept.get(deposit_id) for deposit_id in left} == left
    sagas = await live.fetch("market", "SELECT saga_id FROM saga WHERE name = 'money_deposit'")
    for row in sagas:
        assert kept.get(str(row["saga_id"]), 0) == left.get(str(row["saga_id"]), 0), dict(row)
