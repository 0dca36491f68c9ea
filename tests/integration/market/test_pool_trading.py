"""Pools behind their real server: swaps move balances whole, once, and never more than there is."""

import asyncio
import uuid
from dataclasses import dataclass

import grpc
import pytest
import pytest_asyncio
from google.type.money_pb2 import Money

from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.market.v1 import events_pb2 as facts
from greenledger.market.v1 import pools_pb2 as pb
from greenledger.market.v1.pools_pb2_grpc import PoolServiceStub
from interceptors.testing import reason
from tests.integration.market.conftest import GROWER, OTHER, VENUE, Town


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


@pytest_asyncio.fixture
async def exchange(town: Town) -> Exchange:
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
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return reason(caught.value)


async def test_a_purchase_moves_money_in_goods_out_and_tells_others(exchange: Exchange) -> None:
    await exchange.pay_in(VENUE, euros(200))
    quote = await exchange.stub.QuoteSwap(
        pb.QuoteSwapRequest(pool_id=exchange.pool_id, side=pb.SWAP_SIDE_BUY, goods=kg("10")),
        metadata=exchange.town.as_(VENUE),
    )
    swap = await exchange.swap(VENUE, pb.SWAP_SIDE_BUY, goods=kg("10"), limit_money=euros(112))
    # 100000 * 10^7 * 10^4 / (9 * 10^7 * 9970) = 11144.5 cents
    assert (swap.goods, swap.money) == (kg("10"), euros(111, 45))
    assert (quote.goods, quote.money, quote.money_after) == (swap.goods, swap.money, swap.money_after)
    assert await exchange.balances(VENUE) == {"leek": "10", "EUR": "88.55"}
    pool = await exchange.pool()
    assert (pool.goods, pool.money) == (kg("90"), euros(1111, 45))
    [event] = await exchange.town.market.published("market.swapped")
    payload = facts.Swapped()
    event.payload.Unpack(payload)
    assert (event.aggregate_id, payload.user_id, payload.money) == (exchange.pool_id, VENUE, swap.money)
    listed = await exchange.stub.ListSwaps(
        pb.ListSwapsRequest(pool_id=exchange.pool_id), metadata=exchange.town.as_(OTHER)
    )
    assert list(listed.swaps) == [swap]
    await exchange.check_books()


async def test_the_same_request_swaps_once(exchange: Exchange) -> None:
    await exchange.pay_in(VENUE, euros(200))
    request_id, terms = fresh(), {"money": euros(100), "limit_goods": kg("1")}
    first = await exchange.swap(VENUE, pb.SWAP_SIDE_BUY, request_id, **terms)
    again = await exchange.swap(VENUE, pb.SWAP_SIDE_BUY, request_id, **terms)
    assert first == again
    assert (await exchange.balances(VENUE))["EUR"] == "100.00"
    other = exchange.swap(VENUE, pb.SWAP_SIDE_BUY, request_id, money=euros(99), limit_goods=kg("1"))
    assert await refused(other) == "REQUEST_ID_REUSED"


async def test_what_is_bought_and_sold_again_costs_something(exchange: Exchange) -> None:
    await exchange.pay_in(VENUE, euros(200))
    await exchange.swap(VENUE, pb.SWAP_SIDE_BUY, goods=kg("10"), limit_money=euros(200))
    await exchange.swap(VENUE, pb.SWAP_SIDE_SELL, goods=kg("10"), limit_money=euros(1))
    left = await exchange.balances(VENUE)
    assert "leek" not in left
    assert float(left["EUR"]) < 200
    await exchange.check_books()


@pytest.mark.parametrize(
    ("terms", "expected"),
    [
        ({"goods": kg("10"), "limit_money": euros(111, 44)}, "SLIPPAGE_EXCEEDED"),
        ({"goods": kg("100"), "limit_money": euros(10**6)}, "LIQUIDITY_EXCEEDED"),
        ({"goods": kg("60"), "limit_money": euros(10**6)}, "BALANCE_EXCEEDED"),
        ({"goods": kg("0"), "limit_money": euros(1)}, "AMOUNT_INVALID"),
        ({"goods": kg("9999999999999"), "limit_money": euros(1)}, "AMOUNT_INVALID"),
        ({"goods": Quantity(amount="1", unit_code="GRM"), "limit_money": euros(1)}, "UNIT_MISMATCH"),
        ({"goods": kg("1"), "limit_money": euros(100, currency="USD")}, "CURRENCY_MISMATCH"),
        ({"money": euros(0), "limit_goods": kg("1")}, "AMOUNT_INVALID"),
        ({"money": euros(-5), "limit_goods": kg("1")}, "AMOUNT_INVALID"),
        ({"goods": kg("NaN"), "limit_money": euros(1)}, "VALIDATION_FAILED"),
        ({"goods": kg("-1"), "limit_money": euros(1)}, "VALIDATION_FAILED"),
        ({"goods": kg("1"), "limit_goods": kg("1")}, "VALIDATION_FAILED"),
        ({"goods": kg("1")}, "VALIDATION_FAILED"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_a_refused_swap_moves_nothing(exchange: Exchange, terms: dict, expected: str) -> None:
    await exchange.pay_in(VENUE, euros(200))
    before = await exchange.pool()
    assert await refused(exchange.swap(VENUE, pb.SWAP_SIDE_BUY, **terms)) == expected
    assert await exchange.pool() == before
    assert await exchange.balances(VENUE) == {"EUR": "200.00"}


async def test_many_who_swap_at_once_are_served_one_after_the_other(exchange: Exchange) -> None:
    await asyncio.gather(*(exchange.pay_in(each, euros(300)) for each in (VENUE, OTHER)))
    before = await exchange.pool()
    swaps = [
        exchange.swap(subject, pb.SWAP_SIDE_BUY, money=euros(20), limit_goods=kg("0.5"))
        for subject in (VENUE, OTHER) * 8
    ]
    done = await asyncio.gather(*swaps)
    after = await exchange.pool()
    assert after.money.units == before.money.units + 16 * 20
    assert len({swap.goods_after.amount for swap in done}) == 16
    await exchange.check_books()


async def test_there_is_one_pool_for_a_product_unit_and_currency(exchange: Exchange) -> None:
    request = pb.CreatePoolRequest(
        request_id=fresh(), product_code="leek", unit_code="KGM", currency_code="EUR"
    )
    grower = exchange.town.as_(GROWER)
    assert await refused(exchange.stub.CreatePool(request, metadata=grower)) == "POOL_EXISTS"
    request.unit_code, request.request_id = "ABC", fresh()
    assert await refused(exchange.stub.CreatePool(request, metadata=grower)) == "UNIT_UNKNOWN"
    request.unit_code = "GRM"
    made = await exchange.stub.CreatePool(request, metadata=grower)
    first = await exchange.stub.ListPools(pb.ListPoolsRequest(page_size=1), metadata=grower)
    rest = await exchange.stub.ListPools(
        pb.ListPoolsRequest(page_size=1, page_token=first.next_page_token), metadata=grower
    )
    assert [pool.pool_id for pool in [*first.pools, *rest.pools]] == [made.pool_id, exchange.pool_id]


async def test_who_takes_the_shares_out_gets_the_reserves_but_for_the_locked_part(exchange: Exchange) -> None:
    request = pb.RemoveLiquidityRequest(
        request_id=fresh(), pool_id=exchange.pool_id, shares=3_161_278, min_money=euros(999)
    )
    grower = exchange.town.as_(GROWER)
    assert await refused(exchange.stub.RemoveLiquidity(request, metadata=grower)) == "SHARES_EXCEEDED"
    request.shares = 3_161_277
    stranger = exchange.town.as_(VENUE)
    assert await refused(exchange.stub.RemoveLiquidity(request, metadata=stranger)) == "BALANCE_EXCEEDED"
    done = await exchange.stub.RemoveLiquidity(request, metadata=grower)
    assert (done.money, done.goods) == (euros(999, 68), kg("99.968377"))
    assert (done.pool.shares, done.pool.goods) == (1000, kg("0.031623"))
    await exchange.check_books()


async def test_goods_of_a_recalled_lot_are_not_traded_until_the_recall_ends(exchange: Exchange) -> None:
    await exchange.pay_in(VENUE, euros(200))
    database = exchange.town.market.runtime.database
    await database.execute("INSERT INTO lot_standing (lot_id) VALUES ($1)", exchange.lot_id)
    await database.execute(
        "INSERT INTO lot_recall (lot_id, recall_id, released) VALUES ($1, 'r', false)", exchange.lot_id
    )
    terms = {"goods": kg("10"), "limit_money": euros(112)}
    assert await refused(exchange.swap(VENUE, pb.SWAP_SIDE_BUY, **terms)) == "GOODS_NOT_COVERED"
    await database.execute("UPDATE lot_recall SET released = true")
    await exchange.swap(VENUE, pb.SWAP_SIDE_BUY, **terms)


async def test_the_database_refuses_a_movement_that_does_not_add_up(exchange: Exchange) -> None:
    database = exchange.town.market.runtime.database
    one_sided = """
    WITH made AS (INSERT INTO ledger_movement (movement_id, kind) VALUES ($1, 'SWAP') RETURNING movement_id)
    INSERT INTO ledger_posting (movement_id, holder, asset, amount)
    SELECT movement_id, 'user:ann', 'money:EUR', 1 FROM made
    """
    with pytest.raises(Exception, match="not balanced"):
        await database.execute(one_sided, fresh())
