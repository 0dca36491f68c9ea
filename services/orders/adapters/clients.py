"""The services that a checkout needs, over their stubs."""

from collections.abc import Sequence

import grpc.aio

from chassis.money import Money
from chassis.protobuf import money_from_proto, money_to_proto
from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from greenledger.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from greenledger.payments.v1 import payments_pb2, payments_pb2_grpc
from interceptors.client_errors import callee_errors
from services.orders.adapters.codec import menu_item_from_proto, need_to_proto
from services.orders.domain.order import MenuItem, Need


class CatalogClient:
    """Implements `Catalog`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = catalog_pb2_grpc.CatalogServiceStub(channel)

    @callee_errors()
    async def menu_items(self, menu_item_ids: Sequence[str]) -> Sequence[MenuItem]:
        request = catalog_pb2.BatchGetMenuItemsRequest(menu_item_ids=menu_item_ids)
        return [
            menu_item_from_proto(item) for item in (await self._stub.BatchGetMenuItems(request)).menu_items
        ]

    @callee_errors()
    async def venue_owner(self, venue_id: str) -> str:
        return (await self._stub.GetVenue(catalog_pb2.GetVenueRequest(venue_id=venue_id))).owner_id


class InventoryClient:
    """Implements `Inventory`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = inventory_pb2_grpc.InventoryServiceStub(channel)

    @callee_errors()
    async def reserve(self, key: str, order_id: str, venue_id: str, needs: Sequence[Need]) -> None:
        await self._stub.ReserveStock(
            inventory_pb2.ReserveStockRequest(
                request_id=key, order_id=order_id, venue_id=venue_id, lines=map(need_to_proto, needs)
            )
        )

    @callee_errors()
    async def hold(self, key: str, order_id: str) -> None:
        await self._stub.ConfirmReservation(
            inventory_pb2.ConfirmReservationRequest(request_id=key, order_id=order_id)
        )

    @callee_errors()
    async def consume(self, key: str, order_id: str) -> None:
        await self._stub.ConsumeReservation(
            inventory_pb2.ConsumeReservationRequest(request_id=key, order_id=order_id)
        )

    @callee_errors()
    async def release(self, key: str, order_id: str) -> None:
        await self._stub.ReleaseReservation(
            inventory_pb2.ReleaseReservationRequest(request_id=key, order_id=order_id)
        )


class PaymentsClient:
    """Implements `Payments`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = payments_pb2_grpc.PaymentServiceStub(channel)

    @callee_errors()
    async def authorize(
        self, key: str, order_id: str, payer_id: str, amount: Money, payment_method: str
    ) -> None:
        await self._stub.AuthorizePayment(
            payments_pb2.AuthorizePaymentRequest(
                request_id=key,
                order_id=order_id,
                payer_id=payer_id,
                amount=money_to_proto(amount),
                payment_method=payment_method,
            )
        )

    @callee_errors()
    async def capture(self, key: str, order_id: str) -> None:
        await self._stub.CapturePayment(payments_pb2.CapturePaymentRequest(request_id=key, order_id=order_id))

    @callee_errors()
    async def void(self, key: str, order_id: str) -> None:
        await self._stub.VoidPayment(payments_pb2.VoidPaymentRequest(request_id=key, order_id=order_id))

    @callee_errors()
    async def refund(self, key: str, order_id: str, reason: str) -> Money:
        request = payments_pb2.RefundPaymentRequest(request_id=key, order_id=order_id, reason=reason)
        return money_from_proto((await self._stub.RefundPayment(request)).refunded_amount)
