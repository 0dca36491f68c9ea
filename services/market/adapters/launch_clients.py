"""The life of a launched lot in crops, over its stubs."""

import grpc.aio

from chassis.errors import FailedPrecondition, NotFound, Unavailable
from chassis.protobuf import quantity_to_proto, timestamp_to_proto
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from interceptors.client_errors import callee_errors
from services.market.domain.launch import Harvest

_UNSOUND = {crops_pb2.LOT_STATE_RECALLED: "LOT_RECALLED", crops_pb2.LOT_STATE_HELD: "LOT_HELD"}


class LaunchLotsClient:
    """Implements `LaunchLots`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._commands = crops_pb2_grpc.CropCommandServiceStub(channel)
        self._queries = crops_pb2_grpc.CropQueryServiceStub(channel)

    @callee_errors()
    async def mint(self, request_id: str, owner_id: str, harvest: Harvest) -> str:
        request = crops_pb2.MintLotRequest(
            request_id=request_id,
            lot_code=harvest.lot_code,
            product_code=harvest.product_code,
            description=harvest.description,
            variety=harvest.variety,
            quantity=quantity_to_proto(harvest.quantity),
            origin=crops_pb2.Origin(farm_name=harvest.farm_name, country_code=harvest.country_code),
            harvest_time=timestamp_to_proto(harvest.harvest_time),
            expire_time=timestamp_to_proto(harvest.expire_time),
            grower_id=owner_id,
        )
        return (await self._commands.MintLot(request)).lot_id

    @callee_errors()
    async def destroy(self, request_id: str, owner_id: str, lot_id: str, reason: str) -> None:
        await self._commands.DestroyLot(
            crops_pb2.DestroyLotRequest(
                request_id=request_id, lot_id=lot_id, reason=reason, owner_id=owner_id
            )
        )

    async def require_sound(self, lot_id: str) -> None:
        try:
            lot = await self._look(lot_id)
        except NotFound:
            raise Unavailable("LAUNCH_UNDER_WAY", "crops does not show the lot yet") from None
        reason = _UNSOUND.get(lot.state)
        if reason is not None:
            raise FailedPrecondition(reason, "the lot was recalled or held before it was launched")

    @callee_errors()
    async def _look(self, lot_id: str) -> crops_pb2.Lot:
        return await self._queries.GetLot(crops_pb2.GetLotRequest(lot_id=lot_id))
