"""MarketService: decode, call the use case, encode."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.paging import PageTokens, page_size
from chassis.protobuf import id_from_proto, quantity_from_proto
from greenledger.market.v1 import market_pb2 as pb
from greenledger.market.v1 import market_pb2_grpc
from services.market.adapters.codec import (
    collection_to_proto,
    listing_filter,
    listing_to_proto,
    offer_from_proto,
    price_to_proto,
    purchase_to_proto,
)
from services.market.application.collections import CollectionCommands
from services.market.application.listings import CancelListing, CreateListing, ReadListings
from services.market.application.purchases import BuyFromListing, ReadPurchases

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the RPCs call."""

    collections: CollectionCommands
    create_listing: CreateListing
    cancel_listing: CancelListing
    listings: ReadListings
    buy: BuyFromListing
    purchases: ReadPurchases


class MarketServicer(market_pb2_grpc.MarketServiceServicer):
    """The RPCs of collections, listings and purchases."""

    def __init__(self, use: UseCases, page_tokens: PageTokens) -> None:
        self._use = use
        self._page_tokens = page_tokens

    async def CreateCollection(self, request: pb.CreateCollectionRequest, context: Context) -> pb.Collection:
        made = await self._use.collections.create(
            caller().subject,
            id_from_proto(request.request_id, "request_id"),
            request.name,
            request.description,
            [id_from_proto(lot_id, "lot_ids") for lot_id in request.lot_ids],
        )
        return collection_to_proto(made)

    async def AddLots(self, request: pb.AddLotsRequest, context: Context) -> pb.Collection:
        lot_ids = [id_from_proto(lot_id, "lot_ids") for lot_id in request.lot_ids]
        changed = await self._use.collections.add_lots(caller().subject, request.collection_id, lot_ids)
        return collection_to_proto(changed)

    async def RemoveLots(self, request: pb.RemoveLotsRequest, context: Context) -> pb.Collection:
        lot_ids = [id_from_proto(lot_id, "lot_ids") for lot_id in request.lot_ids]
        changed = await self._use.collections.remove_lots(caller().subject, request.collection_id, lot_ids)
        return collection_to_proto(changed)

    async def GetCollection(self, request: pb.GetCollectionRequest, context: Context) -> pb.Collection:
        return collection_to_proto(await self._use.collections.get(request.collection_id))

    async def ListCollections(
        self, request: pb.ListCollectionsRequest, context: Context
    ) -> pb.ListCollectionsResponse:
        size = page_size(request.page_size)
        query = {"method": "ListCollections", "owner": request.owner_id}
        before = self._before(request.page_token, query)
        found = await self._use.collections.page(request.owner_id or None, before, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.collection_id}, query)
        return pb.ListCollectionsResponse(collections=map(collection_to_proto, page), next_page_token=token)

    async def CreateListing(self, request: pb.CreateListingRequest, context: Context) -> pb.Listing:
        offer = offer_from_proto(request, caller().subject)
        request_id = id_from_proto(request.request_id, "request_id")
        return listing_to_proto(await self._use.create_listing(request_id, offer))

    async def CancelListing(self, request: pb.CancelListingRequest, context: Context) -> pb.Listing:
        listing_id = id_from_proto(request.listing_id, "listing_id")
        return listing_to_proto(await self._use.cancel_listing(caller().subject, listing_id))

    async def GetListing(self, request: pb.GetListingRequest, context: Context) -> pb.Listing:
        return listing_to_proto(await self._use.listings.get(request.listing_id))

    async def ListListings(
        self, request: pb.ListListingsRequest, context: Context
    ) -> pb.ListListingsResponse:
        size = page_size(request.page_size)
        query = {
            "method": "ListListings",
            "product": request.product_code,
            "lot": request.lot_id,
            "seller": request.seller_id,
            "collection": request.collection_id,
            "state": request.state,
        }
        before = self._before(request.page_token, query)
        found = await self._use.listings.page(listing_filter(request), before, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.listing_id}, query)
        return pb.ListListingsResponse(listings=map(listing_to_proto, page), next_page_token=token)

    async def BuyFromListing(self, request: pb.BuyFromListingRequest, context: Context) -> pb.Purchase:
        bought = await self._use.buy(
            caller().subject,
            id_from_proto(request.request_id, "request_id"),
            id_from_proto(request.listing_id, "listing_id"),
            quantity_from_proto(request.quantity),
            request.payment_method,
        )
        return purchase_to_proto(bought)

    async def GetPurchase(self, request: pb.GetPurchaseRequest, context: Context) -> pb.Purchase:
        return purchase_to_proto(await self._use.purchases.get(request.purchase_id, caller()))

    async def ListPurchases(
        self, request: pb.ListPurchasesRequest, context: Context
    ) -> pb.ListPurchasesResponse:
        size, actor = page_size(request.page_size), caller()
        query = {
            "method": "ListPurchases",
            "actor": actor.subject,
            "role": request.role,
            "listing": request.listing_id,
        }
        found = await self._use.purchases.page(
            actor,
            as_buyer=request.role == pb.PURCHASE_ROLE_BUYER,
            as_seller=request.role == pb.PURCHASE_ROLE_SELLER,
            listing_id=request.listing_id or None,
            before=self._before(request.page_token, query),
            limit=size + 1,
        )
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.purchase_id}, query)
        return pb.ListPurchasesResponse(purchases=map(purchase_to_proto, page), next_page_token=token)

    async def ListPrices(self, request: pb.ListPricesRequest, context: Context) -> pb.ListPricesResponse:
        size = page_size(request.page_size)
        query = {"method": "ListPrices", "product": request.product_code}
        cursor = self._page_tokens.decode(request.page_token, query)
        before = (datetime.fromisoformat(cursor["ended"]), cursor["id"]) if cursor else None
        found = await self._use.purchases.prices(request.product_code, before, size + 1)
        page, token = self._page_tokens.cut(
            found, size, lambda last: {"ended": last.updated_at.isoformat(), "id": last.purchase_id}, query
        )
        return pb.ListPricesResponse(prices=map(price_to_proto, page), next_page_token=token)

    def _before(self, page_token: str, query: dict[str, Any]) -> str | None:
        cursor = self._page_tokens.decode(page_token, query)
        return cursor["before"] if cursor else None
