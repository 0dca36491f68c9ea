"""Purchases with the real crops and payments: what is captured is what is delivered."""

import asyncio
import uuid
from collections import Counter
from typing import TypeVar

import grpc
import pytest
from google.protobuf.message import Message

from chassis.testing import eventually
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2
from greenledger.market.v1 import events_pb2
from greenledger.market.v1 import market_pb2 as pb
from interceptors.testing import reason
from tests.integration.market.conftest import GROWER, OTHER, VENUE, Town
from tests.integration.market.test_listings import cancel, committed_is, creation, refused

M = TypeVar("M", bound=Message)
CARD, DECLINED = "pm_card", "pm_declined"


async def on_sale(town: Town, amount: str = "10") -> pb.Listing:
    """All of a new lot, at 2.50 dollars a kilogram."""
    return await town.stub.CreateListing(creation(await town.lot(amount), amount), metadata=town.as_(GROWER))


def wish(
    listing: pb.Listing, amount: str = "2", unit: str = "KGM", method: str = CARD, request_id: str = ""
) -> pb.BuyFromListingRequest:
    return pb.BuyFromListingRequest(
        request_id=request_id or str(uuid.uuid4()),
        listing_id=listing.listing_id,
        quantity=Quantity(amount=amount, unit_code=unit),
        payment_method=method,
    )


async def buy(town: Town, request: pb.BuyFromListingRequest, buyer: str = VENUE) -> pb.Purchase:
    return await town.stub.BuyFromListing(request, metadata=town.as_(buyer, "venue"), timeout=30)


async def left_of(town: Town, listing: pb.Listing) -> tuple[str, str]:
    shown = await town.stub.GetListing(
        pb.GetListingRequest(listing_id=listing.listing_id), metadata=town.as_(OTHER, "guest")
    )
    return shown.remaining.amount, pb.ListingState.Name(shown.state).removeprefix("LISTING_STATE_")


async def kept(town: Town) -> int:
    """What the provider has, in cents."""
    sql = "SELECT coalesce(sum(captured_minor - refunded_minor), 0)::bigint FROM simulated_charge"
    return int(await town.payments.runtime.database.fetchval(sql))


async def open_charges(town: Town) -> int:
    sql = "SELECT count(*) FROM simulated_charge WHERE state = 'AUTHORIZED'"
    return int(await town.payments.runtime.database.fetchval(sql))


async def told(town: Town, topic: str, kind: type[M]) -> list[M]:
    found = []
    for event in await town.market.published(topic):
        message = kind()
        assert event.payload.Unpack(message)
        found.append(message)
    return found


async def recall(town: Town, lot_id: str) -> None:
    request = crops_pb2.RecallLotRequest(
        request_id=str(uuid.uuid4()),
        lot_id=lot_id,
        reason="listeria",
        recall_class=crops_pb2.RECALL_CLASS_I,
    )
    await town.commands.RecallLot(request, metadata=town.as_(GROWER))


async def test_a_purchase_pays_and_delivers_a_lot_of_the_buyers(town: Town) -> None:
    listing = await on_sale(town)
    bought = await buy(town, wish(listing, "2500", "GRM"))
    assert (bought.state, bought.quantity.amount) == (pb.PURCHASE_STATE_COMPLETED, "2.5")
    assert (bought.total.units, bought.total.nanos) == (6, 250_000_000)
    lot, sold = await town.look(bought.delivered_lot_id), await town.look(listing.lot_id)
    assert (lot.owner_id, lot.quantity.amount, lot.lot_code) == (VENUE, "2.5", bought.delivered_lot_code)
    assert (sold.quantity.amount, sold.committed_quantity.amount) == ("7.5", "7.5")
    assert await left_of(town, listing) == ("7.5", "OPEN")
    assert await kept(town) == 625
    [event] = await told(town, "market.purchased", events_pb2.Purchased)
    assert event.delivered_lot_id == bought.delivered_lot_id


async def test_the_same_request_buys_once_however_often_and_at_once(town: Town) -> None:
    listing = await on_sale(town)
    request = wish(listing)
    answers = await asyncio.gather(*(buy(town, request) for _ in range(5)))
    assert len({each.delivered_lot_id for each in answers}) == 1
    assert await buy(town, request) == answers[0]
    assert (await left_of(town, listing), await kept(town)) == (("8", "OPEN"), 500)
    other = wish(listing, "3", request_id=request.request_id)
    assert await refused(buy(town, other)) == "REQUEST_ID_REUSED"


async def test_a_declined_payment_gives_the_goods_back_to_the_listing(town: Town) -> None:
    listing = await on_sale(town)
    request = wish(listing, "10", method=DECLINED)
    for _ in range(2):
        assert await refused(buy(town, request)) == "PAYMENT_DECLINED"
    assert (await left_of(town, listing), await kept(town)) == (("10", "OPEN"), 0)
    [event] = await told(town, "market.purchase-failed", events_pb2.PurchaseFailed)
    assert (event.reason, event.HasField("refunded")) == ("PAYMENT_DECLINED", False)
    assert await refused(buy(town, wish(listing, method="cash"))) == "PAYMENT_METHOD_INVALID"


async def test_of_fifty_buyers_for_the_last_ten_units_ten_get_one(town: Town) -> None:
    listing = await on_sale(town, "10")
    buyers = [str(uuid.uuid4()) for _ in range(50)]

    async def attempt(buyer: str) -> str:
        try:
            return (await buy(town, wish(listing, "1"), buyer)).delivered_lot_id
        except grpc.aio.AioRpcError as refusal:
            return reason(refusal)

    answers = await asyncio.gather(*map(attempt, buyers))
    refusals = Counter(answer for answer in answers if answer == "LISTING_SOLD_OUT")
    delivered = {answer for answer in answers if answer not in refusals}
    assert (refusals["LISTING_SOLD_OUT"], len(delivered)) == (40, 10)
    sold = await town.look(listing.lot_id)
    assert (sold.quantity.amount, sold.committed_quantity.amount) == ("0", "0")
    assert (await left_of(town, listing), await kept(town)) == (("0", "SOLD_OUT"), 2500)
    assert {(await town.look(lot_id)).quantity.amount for lot_id in delivered} == {"1"}


async def test_a_recall_that_the_market_has_not_heard_of_refunds_what_was_paid(town: Town) -> None:
    listing = await on_sale(town)
    await recall(town, listing.lot_id)
    assert await refused(buy(town, wish(listing))) == "LOT_RECALLED"
    assert (await kept(town), await open_charges(town)) == (0, 0)
    assert (await left_of(town, listing))[0] == "10"
    [event] = await told(town, "market.purchase-failed", events_pb2.PurchaseFailed)
    assert (event.reason, event.refunded.units) == ("LOT_RECALLED", 5)
    refunds = await town.payments.published("payment.refunded")
    assert len(refunds) == 1


async def test_cancelling_waits_for_purchases_under_way_and_frees_the_rest(town: Town) -> None:
    listing = await on_sale(town)
    buying = asyncio.gather(*(buy(town, wish(listing, "1"), str(uuid.uuid4())) for _ in range(4)))
    database = town.market.runtime.database
    await eventually(lambda: database.fetchval("SELECT count(*) = 4 FROM purchase"))
    await cancel(town, listing.listing_id)
    bought = await buying
    assert {each.state for each in bought} == {pb.PURCHASE_STATE_COMPLETED}
    await eventually(lambda: committed_is(town, listing.lot_id, "0"), 20)
    assert (await town.look(listing.lot_id)).quantity.amount == "6"
    assert await refused(buy(town, wish(listing))) == "LISTING_CANCELLED"


async def test_purchases_are_shown_to_both_sides_and_to_nobody_else(town: Town) -> None:
    listing = await on_sale(town)
    bought = await buy(town, wish(listing))
    request = pb.GetPurchaseRequest(purchase_id=bought.purchase_id)
    for subject, role in ((VENUE, "venue"), (GROWER, "grower"), (OTHER, "auditor")):
        assert await town.stub.GetPurchase(request, metadata=town.as_(subject, role)) == bought
    assert (
        await refused(town.stub.GetPurchase(request, metadata=town.as_(OTHER, "venue")))
        == "PURCHASE_NOT_FOUND"
    )


@pytest.mark.parametrize(
    ("subject", "role", "part", "seen"),
    [
        (VENUE, "venue", pb.PURCHASE_ROLE_UNSPECIFIED, 1),
        (VENUE, "venue", pb.PURCHASE_ROLE_BUYER, 1),
        (VENUE, "venue", pb.PURCHASE_ROLE_SELLER, 0),
        (GROWER, "grower", pb.PURCHASE_ROLE_SELLER, 1),
        (GROWER, "grower", pb.PURCHASE_ROLE_UNSPECIFIED, 1),
        (OTHER, "grower", pb.PURCHASE_ROLE_UNSPECIFIED, 0),
        (OTHER, "auditor", pb.PURCHASE_ROLE_UNSPECIFIED, 1),
        (OTHER, "auditor", pb.PURCHASE_ROLE_BUYER, 0),
    ],
)
async def test_everyone_lists_their_own_purchases(
    town: Town, subject: str, role: str, part: "pb.PurchaseRole.ValueType", seen: int
) -> None:
    await buy(town, wish(await on_sale(town)))
    request = pb.ListPurchasesRequest(role=part)
    page = await town.stub.ListPurchases(request, metadata=town.as_(subject, role))
    assert len(page.purchases) == seen


async def test_prices_are_told_newest_first_without_people(town: Town) -> None:
    listing = await on_sale(town)
    for amount in ("1", "2", "3"):
        await buy(town, wish(listing, amount))
    await refused(buy(town, wish(listing, method=DECLINED)))
    request = pb.ListPricesRequest(product_code="leek", page_size=2)
    page = await town.stub.ListPrices(request, metadata=town.as_(OTHER, "guest"))
    request.page_token = page.next_page_token
    rest = await town.stub.ListPrices(request, metadata=town.as_(OTHER, "guest"))
    prices = [*page.prices, *rest.prices]
    assert [price.quantity.amount for price in prices] == ["3", "2", "1"]
    assert {(price.unit_price.units, price.price_unit_code) for price in prices} == {(2, "KGM")}
