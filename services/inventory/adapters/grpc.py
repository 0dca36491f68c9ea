"""InventoryService: decode, call the use case, encode."""

from datetime import datetime
from typing import Any

import grpc.aio

from chassis.clock import Clock
from chassis.context import caller
from chassis.paging import PageTokens, page_size
from chassis.protobuf import id_from_proto, quantity_from_proto
from greenledger.inventory.v1 import inventory_pb2 as pb
from greenledger.inventory.v1 import inventory_pb2_grpc
from services.inventory.adapters.codec import item_to_proto, need_from_proto, reservation_to_proto
from services.inventory.application.quarantine import QuarantineLots
from services.inventory.application.queries import StockQueries
from services.inventory.application.receive import ReceiveStock
from services.inventory.application.reserve import ReservationCommands
from services.inventory.domain.receipt import Receipt

Context = grpc.aio.ServicerContext[Any, Any]


class InventoryServicer(inventory_pb2_grpc.InventoryServiceServicer):
    """The RPCs of inventory."""

    def __init__(
        self,
        receive: ReceiveStock,
        reservations: ReservationCommands,
        quarantine: QuarantineLots,
        queries: StockQueries,
        page_tokens: PageTokens,
        clock: Clock,
    ) -> None:
        self._receive = receive
        self._reservations = reservations
        self._quarantine = quarantine
        self._queries = queries
        self._page_tokens = page_tokens
        self._clock = clock

    async def ReceiveStock(self, request: pb.ReceiveStockRequest, context: Context) -> pb.StockItem:
        receipt = Receipt(
            owner_id=caller().subject,
            venue_id=id_from_proto(request.venue_id, "venue_id"),
            lot_id=id_from_proto(request.lot_id, "lot_id"),
            quantity=quantity_from_proto(request.quantity),
        )
        item = await self._receive(id_from_proto(request.request_id, "request_id"), receipt)
        return item_to_proto(item, self._clock.now())

    async def GetStockItem(self, request: pb.GetStockItemRequest, context: Context) -> pb.StockItem:
        return item_to_proto(await self._queries.get(request.stock_item_id, caller()), self._clock.now())

    async def ListStock(self, request: pb.ListStockRequest, context: Context) -> pb.ListStockResponse:
        size = page_size(request.page_size)
        query = {
            "method": "ListStock",
            "venue": request.venue_id,
            "product": request.product_code,
            "lot": request.lot_id,
        }
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._queries.page(
            caller(),
            request.venue_id,
            request.product_code or None,
            request.lot_id or None,
            (datetime.fromisoformat(cursor["expires"]), cursor["id"]) if cursor else None,
            size + 1,
        )
        page, token = self._page_tokens.cut(
            found,
            size,
            lambda last: {"expires": last.expires_at.isoformat(), "id": last.stock_item_id},
            query,
        )
        now = self._clock.now()
        return pb.ListStockResponse(
            stock_items=[item_to_proto(item, now) for item in page], next_page_token=token
        )

    async def ReserveStock(self, request: pb.ReserveStockRequest, context: Context) -> pb.Reservation:
        reservation = await self._reservations.reserve(
            id_from_proto(request.order_id, "order_id"),
            id_from_proto(request.venue_id, "venue_id"),
            [need_from_proto(line) for line in request.lines],
            request.hold.ToTimedelta() if request.HasField("hold") else None,
        )
        return reservation_to_proto(reservation)

    async def ReleaseReservation(
        self, request: pb.ReleaseReservationRequest, context: Context
    ) -> pb.Reservation:
        order_id = id_from_proto(request.order_id, "order_id")
        return reservation_to_proto(await self._reservations.release(order_id))

    async def ConfirmReservation(
        self, request: pb.ConfirmReservationRequest, context: Context
    ) -> pb.Reservation:
        return reservation_to_proto(await self._reservations.confirm(request.order_id))

    async def ConsumeReservation(
        self, request: pb.ConsumeReservationRequest, context: Context
    ) -> pb.Reservation:
        return reservation_to_proto(await self._reservations.consume(request.order_id))

    async def QuarantineLots(
        self, request: pb.QuarantineLotsRequest, context: Context
    ) -> pb.QuarantineLotsResponse:
        lot_ids = [id_from_proto(lot_id, "lot_ids") for lot_id in request.lot_ids]
        recall_id = id_from_proto(request.recall_id, "recall_id")
        blocked = await self._quarantine(recall_id, lot_ids, request.reason)
        return pb.QuarantineLotsResponse(
            stock_item_ids=[item.stock_item_id for item in blocked.items],
            affected_order_count=len(blocked.orders),
        )

    async def GetReservation(self, request: pb.GetReservationRequest, context: Context) -> pb.Reservation:
        found = await self._reservations.get(request.order_id)
        return reservation_to_proto(await self._queries.shown(found, caller()))
