"""The services that the market needs, over their stubs."""

import grpc.aio

from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from interceptors.client_errors import callee_errors


class LotsClient:
    """Implements `LotOwners`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = crops_pb2_grpc.CropQueryServiceStub(channel)

    @callee_errors()
    async def owner_of(self, lot_id: str) -> str:
        return (await self._stub.GetLot(crops_pb2.GetLotRequest(lot_id=lot_id))).owner_id
