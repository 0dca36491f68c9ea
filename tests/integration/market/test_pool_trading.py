"""Pools behind their real server: swaps move balances whole, once, and never more than there is."""

import asyncio

import pytest
import pytest_asyncio

from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.market.v1 import events_pb2 as facts
from greenledger.market.v1 import pools_pb2 as pb
from services.market.adapters.pool_db import PostgresLedger, PostgresPools
from services.market.adapters.pool_vault import PostgresVault
from services.market.application.write_offs import WriteOffExpired
from tests.integration.market.conftest import GROWER, OTHER, VENUE, Town
from tests.integration.market.pool_exchange import Exchange, euros, fresh, kg, open_exchange, refused


@pytest_asyncio.fixture
async def exchange(town: Town) -> Exchange:
    return await open_exchange(town)


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


async def test_a_pool_that_nobody_funds_gives_way_to_another(exchange: Exchange) -> None:
    request = pb.CreatePoolRequest(
        request_id=fresh(), product_code="chard", unit_code="KGM", currency_code="EUR"
    )
    stub = exchange.stub
    squatted = await stub.CreatePool(request, metadata=exchange.town.as_(OTHER))
    request.request_id, request.fee_basis_points = fresh(), 30
    grower = exchange.town.as_(GROWER)
    assert await refused(stub.CreatePool(request, metadata=grower)) == "POOL_EXISTS"
    await exchange.town.market.runtime.database.execute(
        "UPDATE pool SET created_at = created_at - interval '10 min'"
    )
    made = await stub.CreatePool(request, metadata=grower)
    assert made.fee_basis_points == 30
    gone = stub.GetPool(pb.GetPoolRequest(pool_id=squatted.pool_id), metadata=grower)
    assert await refused(gone) == "POOL_NOT_FOUND"
    request.request_id, request.product_code = fresh(), "leek"
    assert await refused(stub.CreatePool(request, metadata=grower)) == "POOL_EXISTS"


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


async def test_a_hold_stops_deliveries_and_not_swaps(exchange: Exchange) -> None:
    await exchange.pay_in(VENUE, euros(900))
    database = exchange.town.market.runtime.database
    other = await exchange.town.lot("20", owner=OTHER)
    await exchange.bring(OTHER, other, "20")
    await database.execute("INSERT INTO lot_standing (lot_id, held) VALUES ($1, true)", exchange.lot_id)
    terms = {"limit_money": euros(900)}
    await exchange.swap(VENUE, pb.SWAP_SIDE_BUY, goods=kg("10"), **terms)
    more = exchange.swap(VENUE, pb.SWAP_SIDE_BUY, goods=kg("20.000001"), **terms)
    assert await refused(more) == "GOODS_NOT_COVERED"
    await exchange.swap(VENUE, pb.SWAP_SIDE_SELL, goods=kg("10"), limit_money=euros(1))


async def test_what_has_expired_is_borne_by_who_brought_it_and_then_by_the_reserves(
    exchange: Exchange,
) -> None:
    database = exchange.town.market.runtime.database
    await exchange.pay_in(VENUE, euros(200))
    spoiling, other = [await exchange.town.lot("30", owner=OTHER) for _ in range(2)]
    await exchange.bring(OTHER, spoiling, "30")
    await exchange.bring(OTHER, other, "1")
    await exchange.swap(OTHER, pb.SWAP_SIDE_SELL, goods=kg("20"), limit_money=euros(1))
    await database.execute("UPDATE vault_lot SET expires_at = now() WHERE lot_id = $1", spoiling)
    runtime = exchange.town.market.runtime
    sweep = WriteOffExpired(
        database,
        PostgresPools(database),
        PostgresLedger(database),
        PostgresVault(database),
        runtime.clock,
        runtime.ids,
    )
    await asyncio.gather(sweep(), sweep())
    await sweep()
    assert "leek" not in await exchange.balances(OTHER)
    assert (await exchange.pool()).goods == kg("101")  # 120 and what OTHER could not bear of the 30
    await exchange.check_books()
    await exchange.swap(VENUE, pb.SWAP_SIDE_BUY, goods=kg("10"), limit_money=euros(200))


async def test_the_database_refuses_a_movement_that_does_not_add_up(exchange: Exchange) -> None:
    database = exchange.town.market.runtime.database
    one_sided = """
    WITH made AS (INSERT INTO ledger_movement (movement_id, kind) VALUES ($1, 'SWAP') RETURNING movement_id)
    INSERT INTO ledger_posting (movement_id, holder, asset, amount)
    SELECT movement_id, 'user:ann', 'money:EUR', 1 FROM made
    """
    with pytest.raises(Exception, match="not balanced"):
        await database.execute(one_sided, fresh())
