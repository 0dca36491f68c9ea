"""Collections behind the real server."""

import asyncio
import uuid

import grpc
import pytest

from greenledger.market.v1 import market_pb2 as pb
from interceptors.testing import reason
from tests.integration.market.conftest import GROWER, OTHER, Town


def creation(*lots: str, name: str = "Autumn", request_id: str = "") -> pb.CreateCollectionRequest:
    return pb.CreateCollectionRequest(request_id=request_id or str(uuid.uuid4()), name=name, lot_ids=lots)


async def test_a_collection_holds_the_lots_of_its_owner_in_order(town: Town) -> None:
    lots = [await town.lot(), await town.lot()]
    made = await town.stub.CreateCollection(creation(*reversed(lots)), metadata=town.as_(GROWER))
    assert made.owner_id == GROWER
    assert list(made.lot_ids) == sorted(lots)
    shown = await town.stub.GetCollection(
        pb.GetCollectionRequest(collection_id=made.collection_id), metadata=town.as_(OTHER, "guest")
    )
    assert shown == made


async def test_lots_of_others_are_not_put_in(town: Town) -> None:
    lot = await town.lot(owner=OTHER)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await town.stub.CreateCollection(creation(lot), metadata=town.as_(GROWER))
    assert reason(refused.value) == "NOT_OWNER"


async def test_only_its_owner_changes_a_collection(town: Town) -> None:
    made = await town.stub.CreateCollection(creation(), metadata=town.as_(GROWER))
    lot = await town.lot(owner=OTHER)
    added = pb.AddLotsRequest(collection_id=made.collection_id, lot_ids=[lot])
    removed = pb.RemoveLotsRequest(collection_id=made.collection_id, lot_ids=[lot])
    for call in (
        town.stub.AddLots(added, metadata=town.as_(OTHER)),
        town.stub.RemoveLots(removed, metadata=town.as_(OTHER)),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await call
        assert reason(refused.value) == "NOT_OWNER"


async def test_lots_are_put_in_and_taken_out_and_repeats_change_nothing(town: Town) -> None:
    first, second = await town.lot(), await town.lot()
    made = await town.stub.CreateCollection(creation(first), metadata=town.as_(GROWER))
    added = pb.AddLotsRequest(collection_id=made.collection_id, lot_ids=[first, second])
    for _ in range(2):
        changed = await town.stub.AddLots(added, metadata=town.as_(GROWER))
        assert list(changed.lot_ids) == sorted([first, second])
    removed = pb.RemoveLotsRequest(collection_id=made.collection_id, lot_ids=[first])
    for _ in range(2):
        assert list((await town.stub.RemoveLots(removed, metadata=town.as_(GROWER))).lot_ids) == [second]


async def test_lots_put_in_at_the_same_time_are_all_in(town: Town) -> None:
    lots = [await town.lot() for _ in range(8)]
    made = await town.stub.CreateCollection(creation(), metadata=town.as_(GROWER))
    asked = [pb.AddLotsRequest(collection_id=made.collection_id, lot_ids=[lot]) for lot in lots]
    await asyncio.gather(*(town.stub.AddLots(each, metadata=town.as_(GROWER)) for each in asked))
    shown = await town.stub.GetCollection(
        pb.GetCollectionRequest(collection_id=made.collection_id), metadata=town.as_(GROWER)
    )
    assert list(shown.lot_ids) == sorted(lots)


async def test_the_same_request_is_the_same_collection_and_another_under_its_id_is_refused(
    town: Town,
) -> None:
    request = creation(await town.lot())
    once = await town.stub.CreateCollection(request, metadata=town.as_(GROWER))
    assert await town.stub.CreateCollection(request, metadata=town.as_(GROWER)) == once
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await town.stub.CreateCollection(
            creation(name="Winter", request_id=request.request_id), metadata=town.as_(GROWER)
        )
    assert reason(refused.value) == "REQUEST_ID_REUSED"


async def test_collections_are_listed_newest_first_in_pages(town: Town) -> None:
    made = [
        (await town.stub.CreateCollection(creation(name=str(n)), metadata=town.as_(GROWER))).collection_id
        for n in range(3)
    ]
    await town.stub.CreateCollection(creation(), metadata=town.as_(OTHER))
    request = pb.ListCollectionsRequest(page_size=2, owner_id=GROWER)
    page = await town.stub.ListCollections(request, metadata=town.as_(GROWER))
    rest = await town.stub.ListCollections(
        pb.ListCollectionsRequest(page_size=2, owner_id=GROWER, page_token=page.next_page_token),
        metadata=town.as_(GROWER),
    )
    assert [each.collection_id for each in (*page.collections, *rest.collections)] == made[::-1]
    assert not rest.next_page_token
