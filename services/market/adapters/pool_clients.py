"""What pools need of crops, over its stubs."""

import grpc.aio

from chassis.protobuf import quantity_from_proto, quantity_to_proto, timestamp_from_proto
from chassis.quantity import Quantity
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from interceptors.client_errors import callee_errors
from services.market.application.pool_ports import Committed
from services.market.domain.pool_settlement import Delivery


class CropGoodsClient:
    """Implements `CropGoods`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = crops_pb2_grpc.CropCommandServiceStub(channel)

    @callee_errors()
    async def commit(self, commitment_id: str, lot_id: str, owner_id: str, quantity: Quantity) -> Committed:
        answer = await self._stub.CommitLotQuantity(
            crops_pb2.CommitLotQuantityRequest(
                request_id=commitment_id,
                lot_id=lot_id,
                owner_id=owner_id,
                quantity=quantity_to_proto(quantity),
                purpose=crops_pb2.COMMITMENT_PURPOSE_POOL,
            )
        )
        expires_at = timestamp_from_proto(answer.lot.expire_time)
        return Committed(answer.lot.product_code, quantity_from_proto(answer.committed), expires_at)

    @callee_errors()
    async def release(self, request_id: str, lot_id: str, commitment_id: str) -> None:
        await self._stub.ReleaseLotQuantity(
            crops_pb2.ReleaseLotQuantityRequest(
                request_id=request_id, lot_id=lot_id, commitment_id=commitment_id
            )
        )

    @callee_errors()
    async def deliver(
        self, request_id: str, delivery: Delivery, quantity: Quantity, new_owner_id: str, lot_code: str
    ) -> str:
        answer = await self._stub.DeliverCommitted(
            crops_pb2.DeliverCommittedRequest(
                request_id=request_id,
                lot_id=delivery.lot_id,
                commitment_id=delivery.commitment_id,
                quantity=quantity_to_proto(quantity),
                new_owner_id=new_owner_id,
                lot_code=lot_code,
            )
        )
        return answer.delivered.lot_id
