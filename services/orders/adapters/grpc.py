"""OrderService: decode, call the use case, encode."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio
from google.protobuf.empty_pb2 import Empty

from chassis.context import caller
from chassis.errors import InvalidArgument
from chassis.paging import PageTokens, page_size
from chassis.protobuf import id_from_proto
from greenledger.orders.v1 import orders_pb2 as pb
from greenledger.orders.v1 import orders_pb2_grpc
from services.orders.adapters.codec import cart_to_proto, order_to_proto, state_filter
from services.orders.application.carts import CartCommands
from services.orders.application.checkout import Checkout
from services.orders.application.queries import OrderQueries

Context = grpc.aio.ServicerContext[Any, Any]


class OrderServicer(orders_pb2_grpc.OrderServiceServicer):
    """The RPCs of orders."""

    def __init__(
        self, carts: CartCommands, checkout: Checkout, queries: OrderQueries, page_tokens: PageTokens
    ) -> None:
        self._carts = carts
        self._checkout = checkout
        self._queries = queries
        self._page_tokens = page_tokens

    async def GetCart(self, request: pb.GetCartRequest, context: Context) -> pb.Cart:
        return cart_to_proto(await self._carts.get(caller().subject))

    async def SetCartItem(self, request: pb.SetCartItemRequest, context: Context) -> pb.Cart:
        menu_item_id = id_from_proto(request.menu_item_id, "menu_item_id")
        return cart_to_proto(await self._carts.set_item(caller().subject, menu_item_id, request.quantity))

    async def ClearCart(self, request: pb.ClearCartRequest, context: Context) -> Empty:
        await self._carts.clear(caller().subject)
        return Empty()

    async def Checkout(self, request: pb.CheckoutRequest, context: Context) -> pb.Order:
        order = await self._checkout(
            caller().subject,
            request.request_id,
            request.payment_method,
            [(id_from_proto(item.menu_item_id, "items"), item.quantity) for item in request.items],
        )
        return order_to_proto(order)

    async def GetOrder(self, request: pb.GetOrderRequest, context: Context) -> pb.Order:
        return order_to_proto(await self._queries.get(request.order_id, caller()))

    async def ListOrders(self, request: pb.ListOrdersRequest, context: Context) -> pb.ListOrdersResponse:
        actor, size = caller(), page_size(request.page_size)
        query = {
            "method": "ListOrders",
            "actor": actor.subject,
            "state": request.state,
            "venue": request.venue_id,
        }
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._queries.page(
            actor,
            request.venue_id or None,
            state_filter(request.state),
            cursor["before"] if cursor else None,
            size + 1,
        )
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.order_id}, query)
        return pb.ListOrdersResponse(orders=map(order_to_proto, page), next_page_token=token)

    async def WatchOrder(
        self, request: pb.WatchOrderRequest, context: Context
    ) -> AsyncIterator[pb.WatchOrderResponse]:
        query = {"method": "WatchOrder", "order": request.order_id}
        try:
            cursor = self._page_tokens.decode(request.resume_token, query)
        except InvalidArgument:
            raise InvalidArgument(
                "RESUME_TOKEN_INVALID", "the resume_token is not one of this order"
            ) from None
        await self._queries.get(request.order_id, caller())
        revision, final = (cursor["revision"] if cursor else 0), False
        async with aclosing(self._queries.watch(request.order_id, revision)) as news:
            async for order in news:
                if order is None:
                    token = self._page_tokens.encode({"revision": revision}, query)
                    yield pb.WatchOrderResponse(heartbeat=True, resume_token=token)
                    continue
                revision, final = order.revision, order.state.final
                token = self._page_tokens.encode({"revision": revision}, query)
                yield pb.WatchOrderResponse(order=order_to_proto(order), resume_token=token, final=final)
        if not final:
            # Resumed after the last state: there is nothing more to send than that it has ended.
            yield pb.WatchOrderResponse(
                resume_token=self._page_tokens.encode({"revision": revision}, query), final=True
            )
