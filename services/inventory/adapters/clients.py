"""The services that a receipt needs, over their stubs."""

import grpc.aio

from chassis.protobuf import quantity_to_proto
from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from interceptors.client_errors import callee_errors
from services.inventory.adapters.codec import goods_from_proto
from services.inventory.domain.receipt import Goods, Receipt


class CropsClient:
    """Implements `Crops`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = crops_pb2_grpc.CropCommandServiceStub(channel)

    @callee_errors()
    async def commit(self, commitment_id: str, receipt: Receipt) -> Goods:
        request = crops_pb2.CommitLotQuantityRequest(
            request_id=commitment_id,
            lot_id=receipt.lot_id,
            owner_id=receipt.owner_id,
            quantity=quantity_to_proto(receipt.quantity),
            purpose=crops_pb2.COMMITMENT_PURPOSE_RECEIPT,
            venue_id=receipt.venue_id,
        )
        return goods_from_proto(await self._stub.CommitLotQuantity(request))

    @callee_errors()
    async def release(self, request_id: str, lot_id: str, commitment_id: str) -> None:
        await self._stub.ReleaseLotQuantity(
            crops_pb2.ReleaseLotQuantityRequest(
                request_id=request_id, lot_id=lot_id, commitment_id=commitment_id
            )
        )


class CatalogClient:
    """Implements `Catalog`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = catalog_pb2_grpc.CatalogServiceStub(channel)

    @callee_errors()
    async def venue_owner(self, venue_id: str) -> str:
        return (await self._stub.GetVenue(catalog_pb2.GetVenueRequest(venue_id=venue_id))).owner_id
