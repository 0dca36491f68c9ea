"""Watching a lot, and who had it: what is told, in which order, and where one goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import pytest

from chassis.errors import DomainError
from chassis.paging import PageTokens
from chassis.quantity import Quantity
from chassis.testing import eventually
from greenledger.crops.v1 import crops_pb2 as pb
from services.crops.adapters.grpc import QueryServicer
from services.crops.application.views import LotFilter
from services.crops.domain.events import OfferKind
from tests.integration.crops.conftest import OPERATOR, Crops, user
from tests.integration.crops.test_handover import offered
from tests.integration.crops.test_physical import now
from tests.unit.crops.lots import BUYER, GROWER, LOT_ID

NO_CONTEXT: Any = None


@pytest.fixture
def queries(crops: Crops) -> QueryServicer:
    return QueryServicer(crops.read, PageTokens(b"0123456789abcdef"))


async def told(
    stream: AsyncIterator[pb.WatchLotResponse], states: int, within_s: float = 10
) -> list[pb.WatchLotResponse]:
    """The next so many states of a watch, without heartbeats."""
    found: list[pb.WatchLotResponse] = []
    async with asyncio.timeout(within_s):
        async for each in stream:
            if not each.heartbeat:
                found.append(each)
            if len(found) == states:
                break
    return found


async def test_a_watcher_hears_every_state_once_and_in_order(crops: Crops, queries: QueryServicer) -> None:
    lot = await crops.minted()
    request = pb.WatchLotRequest(lot_id=lot.lot_id.upper())
    async with aclosing(queries.WatchLot(request, NO_CONTEXT)) as stream:
        [first] = await told(stream, 1)
        assert (first.lot.etag, first.lot.state) == ("1", pb.LOT_STATE_ACTIVE)
        await crops.hold(OPERATOR, lot.lot_id, "lab")
        await crops.release_hold(OPERATOR, lot.lot_id, "clean")
        later = await told(stream, 2)
    assert [each.lot.state for each in later] == [pb.LOT_STATE_HELD, pb.LOT_STATE_ACTIVE]
    resumed = pb.WatchLotRequest(lot_id=lot.lot_id, resume_token=first.resume_token)
    async with aclosing(queries.WatchLot(resumed, NO_CONTEXT)) as stream:
        assert await told(stream, 2) == later
    fresh = pb.WatchLotRequest(lot_id=lot.lot_id)
    async with aclosing(queries.WatchLot(fresh, NO_CONTEXT)) as stream:
        assert [each.lot.etag for each in await told(stream, 1)] == ["3"]


async def test_a_quiet_watch_has_heartbeats_from_which_it_can_go_on(
    crops: Crops, queries: QueryServicer
) -> None:
    lot = await crops.minted()
    async with aclosing(queries.WatchLot(pb.WatchLotRequest(lot_id=lot.lot_id), NO_CONTEXT)) as stream:
        async with asyncio.timeout(10):
            beat = [await anext(stream), await anext(stream)][1]
    assert (beat.heartbeat, beat.HasField("lot")) == (True, False)
    await crops.hold(OPERATOR, lot.lot_id, "lab")
    resumed = pb.WatchLotRequest(lot_id=lot.lot_id, resume_token=beat.resume_token)
    async with aclosing(queries.WatchLot(resumed, NO_CONTEXT)) as stream:
        assert [each.lot.etag for each in await told(stream, 1)] == ["2"]


async def test_what_another_process_did_is_heard_by_the_poll(crops: Crops, queries: QueryServicer) -> None:
    lot = await crops.minted()
    other = Crops(crops.database)
    async with aclosing(queries.WatchLot(pb.WatchLotRequest(lot_id=lot.lot_id), NO_CONTEXT)) as stream:
        await told(stream, 1)
        await other.hold(OPERATOR, lot.lot_id, "lab")
        assert [each.lot.hold_reason for each in await told(stream, 1)] == ["lab"]


async def test_a_watch_that_ends_leaves_no_watcher_behind(crops: Crops, queries: QueryServicer) -> None:
    lot = await crops.minted()
    async with aclosing(queries.WatchLot(pb.WatchLotRequest(lot_id=lot.lot_id), NO_CONTEXT)) as stream:
        await told(stream, 1)
        assert crops.changes.count == 1
    await eventually(lambda: crops.changes.count == 0)


async def test_a_watch_of_nothing_or_with_a_foreign_token_is_refused(
    crops: Crops, queries: QueryServicer
) -> None:
    lot, other = await crops.minted("A"), await crops.minted("B")
    async with aclosing(queries.WatchLot(pb.WatchLotRequest(lot_id=lot.lot_id), NO_CONTEXT)) as stream:
        [first] = await told(stream, 1)
    foreign = pb.WatchLotRequest(lot_id=other.lot_id, resume_token=first.resume_token)
    attempts = [
        (pb.WatchLotRequest(lot_id=LOT_ID), "LOT_NOT_FOUND"),
        (foreign, "RESUME_TOKEN_INVALID"),
    ]
    for request, reason in attempts:
        with pytest.raises(DomainError) as refused:
            await anext(queries.WatchLot(request, NO_CONTEXT))
        assert refused.value.reason == reason


async def test_custody_is_listed_apart_from_ownership_in_pages(crops: Crops, queries: QueryServicer) -> None:
    lot, offer_id = await offered(crops, OfferKind.CUSTODY)
    await crops.accept(user(BUYER), lot.lot_id, offer_id)
    back = await crops.physical.ship(user(BUYER), lot.lot_id, GROWER, now())
    assert back.shipment is not None
    await crops.physical.receive(user(GROWER), lot.lot_id, back.shipment.shipment_id, None, now())
    seen: list[pb.Custody] = []
    request = pb.ListCustodyRequest(lot_id=lot.lot_id, page_size=2)
    while True:
        page = await queries.ListCustody(request, NO_CONTEXT)
        seen += page.custodies
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert [each.custodian_id for each in seen] == [GROWER, BUYER, GROWER]
    ends = [each.until_time for each in seen[:-1]]
    assert ends == [each.from_time for each in seen[1:]]
    assert not seen[-1].HasField("until_time")
    assert len(await crops.read.ownership(lot.lot_id, -1, 10)) == 1


async def test_a_sale_to_who_has_the_lot_begins_no_new_custody(crops: Crops) -> None:
    lot, offer_id = await offered(crops, OfferKind.CUSTODY)
    await crops.accept(user(BUYER), lot.lot_id, offer_id)
    await crops.transfer(user(GROWER), LOT_ID, lot.lot_id, BUYER, "")
    custodians = [each.custodian_id for each in await crops.read.custody(lot.lot_id, 0, 10)]
    assert custodians == [GROWER, BUYER]
    await crops.read.page(LotFilter(), None, 10)
    live = await crops.dump("lot_custody")
    assert (await crops.projection.rebuild()).identical
    assert await crops.dump("lot_custody") == live


async def test_custody_of_an_unknown_lot_is_not_found(crops: Crops) -> None:
    with pytest.raises(DomainError) as refused:
        await crops.read.custody(LOT_ID, 0, 10)
    assert refused.value.reason == "LOT_NOT_FOUND"


async def test_a_part_of_a_lot_begins_where_the_goods_are(crops: Crops) -> None:
    lot, offer_id = await offered(crops, OfferKind.CUSTODY)
    await crops.accept(user(BUYER), lot.lot_id, offer_id)
    _, [part] = await crops.split(user(GROWER), lot.lot_id, [("P", Quantity.of("1", "KGM"))])
    assert await crops.read.get(part.lot_id) == part
    assert [each.custodian_id for each in await crops.read.custody(part.lot_id, 0, 10)] == [BUYER]
