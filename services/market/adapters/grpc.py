"""MarketService: decode, call the use case, encode."""

from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.paging import PageTokens, page_size
from chassis.protobuf import id_from_proto
from greenledger.market.v1 import market_pb2 as pb
from greenledger.market.v1 import market_pb2_grpc
from services.market.adapters.codec import collection_to_proto
from services.market.application.collections import CollectionCommands

Context = grpc.aio.ServicerContext[Any, Any]


class MarketServicer(market_pb2_grpc.MarketServiceServicer):
    """The RPCs of collections, listings and purchases."""

    def __init__(self, collections: CollectionCommands, page_tokens: PageTokens) -> None:
        self._collections = collections
        self._page_tokens = page_tokens

    async def CreateCollection(self, request: pb.CreateCollectionRequest, context: Context) -> pb.Collection:
        made = await self._collections.create(
            caller().subject,
            id_from_proto(request.request_id, "request_id"),
            request.name,
            request.description,
            [id_from_proto(lot_id, "lot_ids") for lot_id in request.lot_ids],
        )
        return collection_to_proto(made)

    async def AddLots(self, request: pb.AddLotsRequest, context: Context) -> pb.Collection:
        lot_ids = [id_from_proto(lot_id, "lot_ids") for lot_id in request.lot_ids]
        changed = await self._collections.add_lots(caller().subject, request.collection_id, lot_ids)
        return collection_to_proto(changed)

    async def RemoveLots(self, request: pb.RemoveLotsRequest, context: Context) -> pb.Collection:
        lot_ids = [id_from_proto(lot_id, "lot_ids") for lot_id in request.lot_ids]
        changed = await self._collections.remove_lots(caller().subject, request.collection_id, lot_ids)
        return collection_to_proto(changed)

    async def GetCollection(self, request: pb.GetCollectionRequest, context: Context) -> pb.Collection:
        return collection_to_proto(await self._collections.get(request.collection_id))

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, context: Context
    ) -> pb.ListCollectionsResponse:
        size = page_size(request.page_size)
        query = {"method": "ListCollections", "owner": request.owner_id}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._collections.page(
            request.owner_id or None, cursor["before"] if cursor else None, size + 1
        )
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.collection_id}, query)
        return pb.ListCollectionsResponse(collections=map(collection_to_proto, page), next_page_token=token)
