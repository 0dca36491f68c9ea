"""Listings behind the real server, with the real crops: what is listed is committed, and counts once."""

import asyncio
import uuid
from collections.abc import Awaitable
from datetime import timedelta
from typing import Any

import grpc
import pytest
from google.type.money_pb2 import Money

from chassis.clock import SystemClock
from chassis.testing import eventually
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2, events_pb2
from greenledger.market.v1 import events_pb2 as events
from greenledger.market.v1 import market_pb2 as pb
from interceptors.testing import reason
from services.market.adapters.listing_db import PostgresListings
from services.market.application.ports import ListingFilter
from services.market.domain.listing import State
from tests.integration.market.conftest import GROWER, OTHER, Town


async def refused(call: Awaitable[object]) -> str:
    with pytest.raises(grpc.aio.AioRpcError) as refusal:
        await call
    return reason(refusal.value)


def creation(
    lot_id: str, amount: str = "4", unit: str = "KGM", request_id: str = ""
) -> pb.CreateListingRequest:
    return pb.CreateListingRequest(
        request_id=request_id or str(uuid.uuid4()),
        lot_id=lot_id,
        quantity=Quantity(amount=amount, unit_code=unit),
        unit_price=Money(currency_code="USD", units=2, nanos=500_000_000),
    )


async def listed(town: Town, lot_id: str, amount: str = "4", unit: str = "KGM") -> pb.Listing:
    return await town.stub.CreateListing(creation(lot_id, amount, unit), metadata=town.as_(GROWER))


async def state_of(town: Town, listing_id: str) -> tuple[str, str]:
    shown = await town.stub.GetListing(
        pb.GetListingRequest(listing_id=listing_id), metadata=town.as_(OTHER, "guest")
    )
    name = pb.ListingState.Name(shown.state).removeprefix("LISTING_STATE_")
    return name, pb.BlockReason.Name(shown.block_reason).removeprefix("BLOCK_REASON_")


async def test_what_is_listed_is_committed_in_the_lots_unit(town: Town) -> None:
    lot_id = await town.lot("10")
    listing = await listed(town, lot_id, "4000", "GRM")
    assert (listing.quantity.amount, listing.quantity.unit_code) == ("4", "KGM")
    assert (listing.price_unit_code, listing.remaining.amount) == ("GRM", "4")
    lot = await town.look(lot_id)
    assert (lot.quantity.amount, lot.committed_quantity.amount) == ("10", "4")
    assert await refused(listed(town, lot_id, "6.1")) == "QUANTITY_EXCEEDED"
    [told] = await town.market.published("market.listed")
    assert told.aggregate_id == listing.listing_id


async def test_the_same_request_is_the_same_listing_however_often_and_at_once(town: Town) -> None:
    lot_id = await town.lot("10")
    request = creation(lot_id)
    asked = (town.stub.CreateListing(request, metadata=town.as_(GROWER)) for _ in range(5))
    assert len({listing.listing_id for listing in await asyncio.gather(*asked)}) == 1
    assert (await town.look(lot_id)).committed_quantity.amount == "4"
    other = creation(lot_id, "5", request_id=request.request_id)
    assert await refused(town.stub.CreateListing(other, metadata=town.as_(GROWER))) == "REQUEST_ID_REUSED"


async def test_a_refused_request_may_be_repeated_when_its_cause_is_gone(town: Town) -> None:
    lot_id = await town.lot("10")
    first = await listed(town, lot_id, "8")
    request = creation(lot_id, "4")
    assert await refused(town.stub.CreateListing(request, metadata=town.as_(GROWER))) == "QUANTITY_EXCEEDED"
    await cancel(town, first.listing_id)
    await eventually(lambda: committed_is(town, lot_id, "0"))
    assert (await town.stub.CreateListing(request, metadata=town.as_(GROWER))).remaining.amount == "4"


async def cancel(town: Town, listing_id: str, by: str = GROWER) -> pb.Listing:
    request = pb.CancelListingRequest(request_id=str(uuid.uuid4()), listing_id=listing_id)
    return await town.stub.CancelListing(request, metadata=town.as_(by))


async def committed_is(town: Town, lot_id: str, amount: str) -> bool:
    return (await town.look(lot_id)).committed_quantity.amount == amount


async def test_someone_elses_lot_is_not_listed_nor_their_listing_cancelled(town: Town) -> None:
    lot_id = await town.lot("10", owner=OTHER)
    assert await refused(listed(town, lot_id)) == "NOT_OWNER"
    assert await refused(listed(town, str(uuid.uuid4()))) == "LOT_NOT_FOUND"
    listing = await listed(town, await town.lot())
    assert await refused(cancel(town, listing.listing_id, OTHER)) == "NOT_OWNER"


async def test_a_cancelled_listing_frees_its_goods(town: Town) -> None:
    lot_id = await town.lot("10")
    listing = await listed(town, lot_id)
    for _ in range(2):
        assert (await cancel(town, listing.listing_id)).state == pb.LISTING_STATE_CANCELLED
    await eventually(lambda: committed_is(town, lot_id, "0"))
    assert len(await town.market.published("market.listing-changed")) == 1


async def test_recalls_and_holds_block_and_their_ends_open_again_in_any_order(town: Town) -> None:
    lot_id = await town.lot("10")
    listing = await listed(town, lot_id)
    tell = town.market.deliver
    await tell("crop.recalled", events_pb2.LotRecalled(lot_id=lot_id, root_lot_id=lot_id, recall_id="one"))
    assert await state_of(town, listing.listing_id) == ("BLOCKED", "RECALLED")
    await tell("crop.held", events_pb2.LotHeld(lot_id=lot_id))
    await tell("crop.recall-released", events_pb2.LotRecallReleased(lot_id=lot_id, recall_id="two"))
    await tell("crop.recalled", events_pb2.LotRecalled(lot_id=lot_id, recall_id="two"))
    assert await state_of(town, listing.listing_id) == ("BLOCKED", "RECALLED")
    await tell("crop.recall-released", events_pb2.LotRecallReleased(lot_id=lot_id, recall_id="one"))
    assert await state_of(town, listing.listing_id) == ("BLOCKED", "HELD")
    await tell("crop.hold-released", events_pb2.LotHoldReleased(lot_id=lot_id))
    assert await state_of(town, listing.listing_id) == ("OPEN", "UNSPECIFIED")


async def test_a_recall_that_is_heard_of_between_committing_and_listing_frees_the_goods(town: Town) -> None:
    lot_id = await town.lot("10")
    # As if crops had answered before its recall, of which the market hears before it lists.
    await town.market.deliver("crop.recalled", events_pb2.LotRecalled(lot_id=lot_id, recall_id="one"))
    assert await refused(listed(town, lot_id)) == "LOT_RECALLED"
    assert await committed_is(town, lot_id, "0")


async def test_a_held_lot_is_refused_by_crops(town: Town) -> None:
    lot_id = await town.lot("10")
    await town.commands.HoldLot(
        crops_pb2.HoldLotRequest(request_id=str(uuid.uuid4()), lot_id=lot_id, reason="a smell"),
        metadata=town.as_(GROWER),
    )
    assert await refused(listed(town, lot_id)) == "LOT_HELD"


async def spoilt(town: Town, listing_id: str) -> None:
    """Let a listing's goods be past their expiry."""
    sql = "UPDATE listing SET expires_at = now() WHERE listing_id = $1"
    await town.market.runtime.database.execute(sql, listing_id)


async def test_goods_that_expire_are_not_for_sale_any_more_and_are_given_back(town: Town) -> None:
    lot_id = await town.lot("10")
    listing = await listed(town, lot_id)
    await spoilt(town, listing.listing_id)
    # At once, whether it was swept or not.
    assert (await state_of(town, listing.listing_id))[0] == "EXPIRED"
    wish = pb.BuyFromListingRequest(
        request_id=str(uuid.uuid4()),
        listing_id=listing.listing_id,
        quantity=Quantity(amount="1", unit_code="KGM"),
        payment_method="pm_card",
    )
    assert await refused(town.stub.BuyFromListing(wish, metadata=town.as_(OTHER))) == "LOT_EXPIRED"
    await eventually(lambda: committed_is(town, lot_id, "0"), 20)
    [told] = await town.market.published("market.listing-changed")
    payload = events.ListingChanged()
    assert told.payload.Unpack(payload)
    assert (payload.listing_id, payload.state) == (listing.listing_id, pb.LISTING_STATE_EXPIRED)
    await town.market.deliver("crop.recalled", events_pb2.LotRecalled(lot_id=lot_id, recall_id="one"))
    assert (await state_of(town, listing.listing_id))[0] == "EXPIRED"


async def test_listings_are_listed_by_the_state_that_they_have_by_then(town: Town) -> None:
    listing_id = (await listed(town, await town.lot())).listing_id
    listings, now = PostgresListings(town.market.runtime.database), SystemClock().now()
    for moment, state in ((now, State.OPEN), (now + timedelta(days=4), State.EXPIRED)):
        for asked in State:
            page = await listings.page(ListingFilter(state=asked), None, 10, moment)
            assert [each.listing_id for each in page] == ([listing_id] if asked is state else [])
        assert await listings.overdue(moment, 10) == ([listing_id] if state is State.EXPIRED else [])


async def test_listings_are_found_by_what_they_sell_and_by_collection(town: Town) -> None:
    first, second = await town.lot("10"), await town.lot("10")
    made = [await listed(town, lot_id) for lot_id in (first, second)]
    collection = await town.stub.CreateCollection(
        pb.CreateCollectionRequest(request_id=str(uuid.uuid4()), name="Autumn", lot_ids=[first]),
        metadata=town.as_(GROWER),
    )
    await cancel(town, made[1].listing_id)

    async def ids(**where: Any) -> list[str]:
        request = pb.ListListingsRequest(**where)
        page = await town.stub.ListListings(request, metadata=town.as_(OTHER, "guest"))
        return [each.listing_id for each in page.listings]

    newest_first = [made[1].listing_id, made[0].listing_id]
    assert await ids() == await ids(product_code="leek") == await ids(seller_id=GROWER) == newest_first
    assert await ids(lot_id=first) == await ids(collection_id=collection.collection_id) == newest_first[1:]
    assert await ids(state=pb.LISTING_STATE_CANCELLED) == newest_first[:1]
    assert await ids(seller_id=OTHER) == []
