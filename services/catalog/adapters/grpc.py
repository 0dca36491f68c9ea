"""CatalogService: decode, call the use case, encode."""

from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.errors import InvalidArgument, Violation
from chassis.paging import PageTokens, page_size
from chassis.protobuf import id_from_proto
from greenledger.catalog.v1 import catalog_pb2 as pb
from greenledger.catalog.v1 import catalog_pb2_grpc
from services.catalog.adapters.codec import (
    address_from_proto,
    changes_from_proto,
    ingredient_from_proto,
    item_to_proto,
    price_from_proto,
    price_to_proto,
    venue_to_proto,
)
from services.catalog.application.menu import CreateMenuItem, MenuQueries, UpdateMenuItem
from services.catalog.application.venues import CreateVenue, VenueQueries

Context = grpc.aio.ServicerContext[Any, Any]


class CatalogServicer(catalog_pb2_grpc.CatalogServiceServicer):
    """The RPCs of the catalog."""

    def __init__(
        self,
        create_venue: CreateVenue,
        venues: VenueQueries,
        create_item: CreateMenuItem,
        update_item: UpdateMenuItem,
        menu: MenuQueries,
        page_tokens: PageTokens,
    ) -> None:
        self._create_venue = create_venue
        self._venues = venues
        self._create_item = create_item
        self._update_item = update_item
        self._menu = menu
        self._page_tokens = page_tokens

    async def CreateVenue(self, request: pb.CreateVenueRequest, context: Context) -> pb.Venue:
        address = address_from_proto(request.address)
        return venue_to_proto(await self._create_venue(caller().subject, request.name, address))

    async def GetVenue(self, request: pb.GetVenueRequest, context: Context) -> pb.Venue:
        return venue_to_proto(await self._venues.get(request.venue_id))

    async def ListVenues(self, request: pb.ListVenuesRequest, context: Context) -> pb.ListVenuesResponse:
        size = page_size(request.page_size)
        query = {"method": "ListVenues", "owner": request.owner_id}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._venues.page(
            request.owner_id or None, cursor["after"] if cursor else None, size + 1
        )
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.venue_id}, query)
        return pb.ListVenuesResponse(venues=map(venue_to_proto, page), next_page_token=token)

    async def CreateMenuItem(self, request: pb.CreateMenuItemRequest, context: Context) -> pb.MenuItem:
        item = await self._create_item(
            caller().subject,
            id_from_proto(request.venue_id, "venue_id"),
            request.name,
            request.description,
            price_from_proto(request.price),
            [ingredient_from_proto(ingredient) for ingredient in request.ingredients],
        )
        return item_to_proto(item)

    async def GetMenuItem(self, request: pb.GetMenuItemRequest, context: Context) -> pb.MenuItem:
        return item_to_proto(await self._menu.get(request.menu_item_id))

    async def ListMenuItems(
        self, request: pb.ListMenuItemsRequest, context: Context
    ) -> pb.ListMenuItemsResponse:
        size = page_size(request.page_size)
        query = {"method": "ListMenuItems", "venue": request.venue_id, "available": request.available_only}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._menu.page(
            request.venue_id or None,
            request.available_only,
            cursor["after"] if cursor else None,
            size + 1,
        )
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.menu_item_id}, query)
        return pb.ListMenuItemsResponse(menu_items=map(item_to_proto, page), next_page_token=token)

    async def BatchGetMenuItems(
        self, request: pb.BatchGetMenuItemsRequest, context: Context
    ) -> pb.BatchGetMenuItemsResponse:
        found = await self._menu.get_many(
            [id_from_proto(item_id, "menu_item_ids") for item_id in request.menu_item_ids]
        )
        return pb.BatchGetMenuItemsResponse(menu_items=map(item_to_proto, found))

    async def UpdateMenuItem(self, request: pb.UpdateMenuItemRequest, context: Context) -> pb.MenuItem:
        menu_item_id = id_from_proto(request.menu_item.menu_item_id, "menu_item.menu_item_id")
        if not menu_item_id:
            raise InvalidArgument(
                "VALIDATION_FAILED",
                "menu_item.menu_item_id is missing",
                violations=(Violation("menu_item.menu_item_id", "is missing"),),
            )
        changes, etag = changes_from_proto(request), request.menu_item.etag
        return item_to_proto(await self._update_item(caller().subject, menu_item_id, etag, changes))

    async def ListPrices(self, request: pb.ListPricesRequest, context: Context) -> pb.ListPricesResponse:
        size = page_size(request.page_size)
        query = {"method": "ListPrices", "item": request.menu_item_id}
        cursor = self._page_tokens.decode(request.page_token, query)
        before = cursor["before"] if cursor else None
        found = await self._menu.prices(request.menu_item_id, before, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.revision}, query)
        return pb.ListPricesResponse(prices=map(price_to_proto, page), next_page_token=token)
