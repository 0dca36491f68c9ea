"""The services that a receipt needs, over their stubs."""

import grpc.aio

from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from interceptors.client_errors import callee_errors
from services.inventory.adapters.codec import lot_from_proto
from services.inventory.domain.receipt import Lot


class CropsClient:
    """Implements `Crops`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = crops_pb2_grpc.CropQueryServiceStub(channel)

    @callee_errors()
    async def lot(self, lot_id: str) -> Lot:
        return lot_from_proto(await self._stub.GetLot(crops_pb2.GetLotRequest(lot_id=lot_id)))


class CatalogClient:
    """Implements `Catalog`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = catalog_pb2_grpc.CatalogServiceStub(channel)

    @callee_errors()
    async def venue_owner(self, venue_id: str) -> str:
        return (await self._stub.GetVenue(catalog_pb2.GetVenueRequest(venue_id=venue_id))).owner_id
