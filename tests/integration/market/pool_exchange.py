"""A town with a pool, and what its tests do there."""

import uuid
from dataclasses import dataclass

import grpc
import pytest
from google.type.money_pb2 import Money

from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.market.v1 import pools_pb2 as pb
from greenledger.market.v1.pools_pb2_grpc import PoolServiceStub
from interceptors.testing import reason
from tests.integration.market.conftest import GROWER, Town


def kg(amount: str) -> Quantity:
    return Quantity(amount=amount, unit_code="KGM")


def euros(units: int, cents: int = 0, currency: str = "EUR") -> Money:
    return Money(currency_code=currency, units=units, nanos=cents * 10_000_000)


def fresh() -> str:
    return str(uuid.uuid4())


@dataclass
class Exchange:
    """A town with a pool of 100 kg of leek against 1000 euros, all of it GROWER's."""

    town: Town
    pool_id: str
    lot_id: str

    @property
    def stub(self) -> PoolServiceStub:
        return PoolServiceStub(self.town.market.channel)

    async def balances(self, subject: str) -> dict[str, str]:
        """By product, currency and pool."""
        found = await self.stub.GetBalances(pb.GetBalancesRequest(), metadata=self.town.as_(subject))
        return {
            **{each.product_code: each.quantity.amount for each in found.goods},
            **{each.currency_code: f"{each.units}.{each.nanos // 10_000_000:02}" for each in found.money},
            **{each.pool_id: str(each.shares) for each in found.shares},
        }

    async def pay_in(self, subject: str, money: Money, request_id: str = "") -> str:
        """The deposit that brought the money."""
        request = pb.DepositMoneyRequest(
            request_id=request_id or fresh(), amount=money, payment_method="pm_card"
        )
        done = await self.stub.DepositMoney(request, metadata=self.town.as_(subject))
        return done.settlement_id

    async def bring(self, subject: str, lot_id: str, amount: str, request_id: str = "") -> pb.Settlement:
        request = pb.DepositGoodsRequest(request_id=request_id or fresh(), lot_id=lot_id, quantity=kg(amount))
        return await self.stub.DepositGoods(request, metadata=self.town.as_(subject))

    async def swap(self, subject: str, side: pb.SwapSide.ValueType, request_id: str = "", **terms) -> pb.Swap:
        request = pb.SwapGoodsRequest(
            request_id=request_id or fresh(), pool_id=self.pool_id, side=side, **terms
        )
        return await self.stub.SwapGoods(request, metadata=self.town.as_(subject))

    async def pool(self) -> pb.Pool:
        return await self.stub.GetPool(
            pb.GetPoolRequest(pool_id=self.pool_id), metadata=self.town.as_(GROWER)
        )

    async def check_books(self) -> None:
        """Every asset adds up to nothing; the pools have what they say; the vault has what is promised."""
        database = self.town.market.runtime.database
        unbalanced = await database.fetch(
            "SELECT asset FROM ledger_balance GROUP BY asset HAVING sum(amount) <> 0"
        )
        assert unbalanced == []
        drifted = await database.fetch(
            """
            SELECT b.* FROM ledger_balance b LEFT JOIN (
                SELECT holder, asset, sum(amount) AS posted FROM ledger_posting GROUP BY holder, asset
            ) p USING (holder, asset)
            WHERE b.amount <> coalesce(p.posted, 0)
            """
        )
        assert drifted == []
        pools = await database.fetch(
            """
            SELECT p.goods, p.money, p.shares, g.amount AS has_goods, m.amount AS has_money, s.amount AS owed
            FROM pool p
            LEFT JOIN ledger_balance g ON g.holder = 'pool:' || p.pool_id AND g.asset LIKE 'goods:%'
            LEFT JOIN ledger_balance m ON m.holder = 'pool:' || p.pool_id AND m.asset LIKE 'money:%'
            LEFT JOIN ledger_balance s ON s.holder = 'outside' AND s.asset = 'share:' || p.pool_id
            """
        )
        for row in pools:
            booked = (row["has_goods"] or 0, row["has_money"] or 0, -(row["owed"] or 0))
            assert (row["goods"], row["money"], row["shares"]) == booked
        vault = await database.fetchval("SELECT coalesce(sum(remaining), 0) FROM vault_lot")
        promised = (
            "SELECT coalesce(-sum(amount), 0) FROM ledger_balance WHERE holder = 'outside' AND asset LIKE $1"
        )
        assert vault == await database.fetchval(promised, "goods:%")
        paid = await database.fetchval("SELECT coalesce(sum(amount - withdrawn), 0) FROM money_deposit")
        assert paid == await database.fetchval(promised, "money:%")


async def open_exchange(town: Town) -> Exchange:
    """Fund a new pool."""
    stub, grower = PoolServiceStub(town.market.channel), town.as_(GROWER)
    made = await stub.CreatePool(
        pb.CreatePoolRequest(
            request_id=fresh(),
            product_code="leek",
            unit_code="KGM",
            currency_code="EUR",
            fee_basis_points=30,
        ),
        metadata=grower,
    )
    exchange = Exchange(town, made.pool_id, await town.lot("150"))
    await exchange.bring(GROWER, exchange.lot_id, "100")
    await exchange.pay_in(GROWER, euros(1000))
    funding = pb.AddLiquidityRequest(
        request_id=fresh(), pool_id=made.pool_id, max_goods=kg("100"), max_money=euros(1000)
    )
    added = await stub.AddLiquidity(funding, metadata=grower)
    assert added.shares == 3_161_277  # isqrt(10^8 * 10^5) - 1000
    return exchange


async def refused(call) -> str:
    """The reason with which a call is refused."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason(caught.value)
