"""A launch ends whole or not at all: lot, pool and campaign, or nothing of them."""

import uuid
from datetime import timedelta

import pytest
import pytest_asyncio
from google.type.money_pb2 import Money

from chassis.clock import SystemClock
from chassis.protobuf import timestamp_to_proto
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2
from greenledger.market.v1 import campaigns_pb2, launches_pb2, pools_pb2
from greenledger.market.v1.campaigns_pb2_grpc import CampaignServiceStub
from greenledger.market.v1.launches_pb2_grpc import LaunchServiceStub
from services.market.adapters.launch_clients import LaunchLotsClient
from tests.integration.market.conftest import GROWER, VENUE, Town
from tests.integration.market.pool_exchange import Exchange, euros, fresh, kg, open_exchange, refused


@pytest_asyncio.fixture
async def exchange(town: Town) -> Exchange:
    return await open_exchange(town)


def wish(
    goods: Quantity | None = None,
    money: Money | None = None,
    lot_code: str = "",
    product: str = "chard",
    hours: int = 48,
) -> launches_pb2.LaunchProductRequest:
    """A launch of 100 kg of which 40 go into the pool, with 80 euros."""
    now = SystemClock().now()
    return launches_pb2.LaunchProductRequest(
        request_id=fresh(),
        lot=launches_pb2.LaunchLot(
            lot_code=lot_code or f"CH-{uuid.uuid4()}",
            product_code=product,
            quantity=kg("100"),
            farm_name="Farm",
            country_code="US",
            harvest_time=timestamp_to_proto(now - timedelta(days=1)),
            expire_time=timestamp_to_proto(now + timedelta(hours=hours)),
        ),
        liquidity=launches_pb2.LaunchLiquidity(
            goods=goods or kg("40"), money=money or euros(80), fee_basis_points=30
        ),
        campaign=launches_pb2.LaunchCampaign(title="New chard", message="Come and see."),
    )


async def launch(exchange: Exchange, request: launches_pb2.LaunchProductRequest) -> launches_pb2.Launch:
    stub = LaunchServiceStub(exchange.town.market.channel)
    return await stub.LaunchProduct(request, metadata=exchange.town.as_(GROWER))


async def lots_of(exchange: Exchange, lot_code: str) -> list[str]:
    rows = await exchange.town.crops.runtime.database.fetch(
        "SELECT stream_id FROM event WHERE type = 'LotMinted' AND data->>'lot_code' = $1", lot_code
    )
    return [row["stream_id"].removeprefix("lot-") for row in rows]


async def ensure_nothing_is_left(exchange: Exchange, lot_code: str, balances: dict[str, str]) -> None:
    """What was minted is destroyed, no pool is there, nobody hears of it, balances are as before."""
    for lot_id in await lots_of(exchange, lot_code):
        lot = await exchange.town.look(lot_id)
        assert lot.state in (crops_pb2.LOT_STATE_DESTROYED, crops_pb2.LOT_STATE_RECALLED)
        assert (lot.quantity.amount, lot.committed_quantity.amount) == ("0", "0")
    listed = await exchange.stub.ListPools(
        pools_pb2.ListPoolsRequest(product_code="chard"), metadata=exchange.town.as_(GROWER)
    )
    assert list(listed.pools) == []
    campaigns = await CampaignServiceStub(exchange.town.market.channel).ListCampaigns(
        campaigns_pb2.ListCampaignsRequest(), metadata=exchange.town.as_(GROWER)
    )
    assert list(campaigns.campaigns) == []
    assert await exchange.balances(GROWER) == balances
    await exchange.check_books()


async def test_a_launch_mints_funds_opens_and_tells(exchange: Exchange) -> None:
    await exchange.pay_in(GROWER, euros(100))
    request = wish()
    done, again = [await launch(exchange, request) for _ in range(2)]
    assert (done.launch_id, done.lot_id, done.pool) == (again.launch_id, again.lot_id, again.pool)
    lot = await exchange.town.look(done.lot_id)
    assert (lot.grower_id, lot.owner_id, lot.quantity, lot.committed_quantity) == (
        GROWER,
        GROWER,
        kg("100"),
        kg("40"),
    )
    assert (done.pool.state, done.pool.goods, done.pool.money) == (
        pools_pb2.POOL_STATE_OPEN,
        kg("40"),
        euros(80),
    )
    assert done.shares == 564_685  # isqrt(40 * 10^6 * 8000) - 1000
    assert done.campaign.state in (
        campaigns_pb2.CAMPAIGN_STATE_ACTIVE,
        campaigns_pb2.CAMPAIGN_STATE_COMPLETED,
    )
    assert (await exchange.balances(GROWER))["EUR"] == "20.00"
    await exchange.check_books()
    # What was launched is traded and leaves as a lot.
    await exchange.pay_in(VENUE, euros(30))
    launched = Exchange(exchange.town, done.pool.pool_id, done.lot_id)
    await launched.swap(VENUE, pools_pb2.SWAP_SIDE_BUY, goods=kg("5"), limit_money=euros(30))
    taken = await exchange.stub.WithdrawGoods(
        pools_pb2.WithdrawGoodsRequest(request_id=fresh(), product_code="chard", quantity=kg("5")),
        metadata=exchange.town.as_(VENUE),
    )
    assert (await exchange.town.look(taken.lot_ids[0])).owner_id == VENUE
    await exchange.check_books()


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (wish(money=euros(101)), "BALANCE_EXCEEDED"),
        (wish(product="leek"), "POOL_EXISTS"),
        (wish(goods=kg("101")), "QUANTITY_EXCEEDED"),
        (wish(goods=Quantity(amount="1", unit_code="GRM")), "UNIT_MISMATCH"),
        (wish(goods=kg("0.001"), money=euros(0, 1)), "LIQUIDITY_TOO_SMALL"),
        (wish(goods=kg("0.000999")), "DEPOSIT_TOO_SMALL"),
        (wish(hours=23), "LOT_EXPIRES_SOON"),
        (wish(goods=kg("0")), "AMOUNT_INVALID"),
    ],
    ids=lambda value: value if isinstance(value, str) else None,
)
async def test_a_launch_that_cannot_succeed_does_not_use_up_its_lot_code(
    exchange: Exchange, request_: launches_pb2.LaunchProductRequest, expected: str
) -> None:
    await exchange.pay_in(GROWER, euros(100))
    before = await exchange.balances(GROWER)
    assert await refused(launch(exchange, request_)) == expected
    assert await lots_of(exchange, request_.lot.lot_code) == []
    await ensure_nothing_is_left(exchange, request_.lot.lot_code, before)


async def test_what_crops_refuses_to_mint_is_not_launched(exchange: Exchange) -> None:
    await exchange.pay_in(GROWER, euros(100))
    before = await exchange.balances(GROWER)
    first = wish()
    first.lot.harvest_time.CopyFrom(timestamp_to_proto(SystemClock().now() + timedelta(hours=1)))
    assert await refused(launch(exchange, first)) == "TIMES_INVALID"
    await ensure_nothing_is_left(exchange, first.lot.lot_code, before)


async def test_a_lot_that_is_recalled_before_it_is_launched_is_undone(
    exchange: Exchange, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recall comes between the funding and the last look."""
    await exchange.pay_in(GROWER, euros(100))
    before, looking = await exchange.balances(GROWER), LaunchLotsClient.require_sound

    async def recalled_first(client: LaunchLotsClient, lot_id: str) -> None:
        recall = crops_pb2.HoldLotRequest(request_id=fresh(), lot_id=lot_id, reason="listeria?")
        await exchange.town.commands.HoldLot(recall, metadata=exchange.town.as_(GROWER))
        monkeypatch.setattr(LaunchLotsClient, "require_sound", looking)
        await looking(client, lot_id)

    monkeypatch.setattr(LaunchLotsClient, "require_sound", recalled_first)
    request = wish()
    assert await refused(launch(exchange, request)) == "LOT_HELD"
    assert len(await lots_of(exchange, request.lot.lot_code)) == 1
    await ensure_nothing_is_left(exchange, request.lot.lot_code, before)


async def test_the_same_request_for_something_else_is_refused(exchange: Exchange) -> None:
    await exchange.pay_in(GROWER, euros(100))
    request = wish()
    await launch(exchange, request)
    request.campaign.title = "Old chard"
    assert await refused(launch(exchange, request)) == "REQUEST_ID_REUSED"


async def test_people_mint_for_themselves_only(exchange: Exchange) -> None:
    harvest = wish().lot
    request = crops_pb2.MintLotRequest(
        request_id=fresh(),
        lot_code=harvest.lot_code,
        product_code="chard",
        quantity=kg("1"),
        origin=crops_pb2.Origin(farm_name="Farm", country_code="US"),
        harvest_time=harvest.harvest_time,
        expire_time=harvest.expire_time,
        grower_id=VENUE,
    )
    asked = exchange.town.commands.MintLot(request, metadata=exchange.town.as_(GROWER))
    assert await refused(asked) == "NOT_OWNER"
