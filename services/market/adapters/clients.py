"""The services that collections, listings, purchases and pools need, over their stubs."""

import grpc.aio

from chassis.money import Money
from chassis.protobuf import money_to_proto, quantity_to_proto
from chassis.quantity import Quantity
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from greenledger.payments.v1 import payments_pb2, payments_pb2_grpc
from interceptors.client_errors import callee_errors
from services.market.adapters.codec import goods_from_proto
from services.market.domain.listing import Goods, Offer


class LotsClient:
    """Implements `LotOwners`, and `Goods` of campaigns."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = crops_pb2_grpc.CropQueryServiceStub(channel)

    @callee_errors()
    async def owner_of(self, lot_id: str) -> str:
        return (await self._stub.GetLot(crops_pb2.GetLotRequest(lot_id=lot_id))).owner_id

    @callee_errors()
    async def has_any(self, owner_id: str, product_code: str) -> bool:
        request = crops_pb2.ListLotsRequest(
            owner_id=owner_id, product_code=product_code, state=crops_pb2.LOT_STATE_ACTIVE, page_size=1
        )
        return bool((await self._stub.ListLots(request)).lots)


class CropsClient:
    """Implements `Crops`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = crops_pb2_grpc.CropCommandServiceStub(channel)

    @callee_errors()
    async def commit(self, commitment_id: str, offer: Offer) -> Goods:
        request = crops_pb2.CommitLotQuantityRequest(
            request_id=commitment_id,
            lot_id=offer.lot_id,
            owner_id=offer.seller_id,
            quantity=quantity_to_proto(offer.quantity),
            purpose=crops_pb2.COMMITMENT_PURPOSE_LISTING,
        )
        return goods_from_proto(await self._stub.CommitLotQuantity(request))

    @callee_errors()
    async def release(self, request_id: str, lot_id: str, commitment_id: str) -> None:
        await self._stub.ReleaseLotQuantity(
            crops_pb2.ReleaseLotQuantityRequest(
                request_id=request_id, lot_id=lot_id, commitment_id=commitment_id
            )
        )

    @callee_errors()
    async def deliver(
        self,
        delivery_id: str,
        lot_id: str,
        commitment_id: str,
        quantity: Quantity,
        new_owner_id: str,
        lot_code: str,
    ) -> str:
        request = crops_pb2.DeliverCommittedRequest(
            request_id=delivery_id,
            lot_id=lot_id,
            commitment_id=commitment_id,
            quantity=quantity_to_proto(quantity),
            new_owner_id=new_owner_id,
            lot_code=lot_code,
        )
        return (await self._stub.DeliverCommitted(request)).delivered.lot_id


class PaymentsClient:
    """Implements `Payments`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = payments_pb2_grpc.PaymentServiceStub(channel)

    @callee_errors()
    async def authorize(
        self, request_id: str, order_id: str, payer_id: str, amount: Money, payment_method: str
    ) -> None:
        await self._stub.AuthorizePayment(
            payments_pb2.AuthorizePaymentRequest(
                request_id=request_id,
                order_id=order_id,
                payer_id=payer_id,
                amount=money_to_proto(amount),
                payment_method=payment_method,
            )
        )

    @callee_errors()
    async def capture(self, request_id: str, order_id: str) -> None:
        request = payments_pb2.CapturePaymentRequest(request_id=request_id, order_id=order_id)
        await self._stub.CapturePayment(request)

    @callee_errors()
    async def void(self, request_id: str, order_id: str) -> None:
        request = payments_pb2.VoidPaymentRequest(request_id=request_id, order_id=order_id)
        await self._stub.VoidPayment(request)

    @callee_errors()
    async def refund(self, request_id: str, order_id: str, reason: str, amount: Money | None = None) -> None:
        request = payments_pb2.RefundPaymentRequest(
            request_id=request_id,
            order_id=order_id,
            reason=reason,
            amount=None if amount is None else money_to_proto(amount),
        )
        await self._stub.RefundPayment(request)
