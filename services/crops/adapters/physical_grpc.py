"""The RPCs of what physically happens to goods: decode, call the use case, encode."""

from dataclasses import dataclass
from typing import Any

import grpc.aio

from chassis.clock import Clock
from chassis.context import caller
from chassis.protobuf import quantity_from_proto
from greenledger.crops.v1 import crops_pb2 as pb
from greenledger.crops.v1 import crops_pb2_grpc
from services.crops.adapters.codec import id_from_proto, lot_to_proto
from services.crops.adapters.metrics import timed
from services.crops.adapters.physical_codec import occasion_from_proto, reading_from_proto, stage_from_proto
from services.crops.application.correct_lot import CorrectLot
from services.crops.application.observe_lot import ObserveLot
from services.crops.application.ship_lot import ReceiveLot, RecordTransport, ShipLot, VoidShipment
from services.crops.application.units import PackUnit, ReceiveUnit, ShipUnit, UnpackUnit
from services.crops.domain.occasion import Occasion

Context = grpc.aio.ServicerContext[Any, Any]


@dataclass(frozen=True, slots=True)
class PhysicalCommands:
    """The use cases, and the clock for what happened when nobody said when."""

    clock: Clock
    ship: ShipLot
    void: VoidShipment
    transport: RecordTransport
    receive: ReceiveLot
    observe: ObserveLot
    correct: CorrectLot
    pack: PackUnit
    unpack: UnpackUnit
    ship_unit: ShipUnit
    receive_unit: ReceiveUnit


class PhysicalServicer(crops_pb2_grpc.CropCommandServiceServicer):
    """The part of the deciding side that is about goods themselves."""

    def __init__(self, physical: PhysicalCommands) -> None:
        self._do = physical

    @timed("ship")
    async def ShipLot(self, request: pb.ShipLotRequest, context: Context) -> pb.Lot:
        lot_id, to_id = id_from_proto(request.lot_id), id_from_proto(request.to_id)
        return lot_to_proto(await self._do.ship(caller(), lot_id, to_id, self._occasion(request.occasion)))

    @timed("void_shipment")
    async def VoidShipment(self, request: pb.VoidShipmentRequest, context: Context) -> pb.Lot:
        lot = await self._do.void(
            caller(),
            id_from_proto(request.lot_id),
            id_from_proto(request.shipment_id),
            request.reason,
            self._occasion(request.occasion),
        )
        return lot_to_proto(lot)

    @timed("receive")
    async def ReceiveLot(self, request: pb.ReceiveLotRequest, context: Context) -> pb.Lot:
        lot = await self._do.receive(
            caller(),
            id_from_proto(request.lot_id),
            id_from_proto(request.shipment_id),
            quantity_from_proto(request.quantity) if request.HasField("quantity") else None,
            self._occasion(request.occasion),
        )
        return lot_to_proto(lot)

    @timed("record_transport")
    async def RecordTransport(self, request: pb.RecordTransportRequest, context: Context) -> pb.Lot:
        lot = await self._do.transport(
            caller(),
            id_from_proto(request.lot_id),
            id_from_proto(request.shipment_id),
            stage_from_proto(request.stage),
            self._occasion(request.occasion),
        )
        return lot_to_proto(lot)

    @timed("observe")
    async def ObserveLot(self, request: pb.ObserveLotRequest, context: Context) -> pb.Lot:
        lot = await self._do.observe(
            caller(),
            id_from_proto(request.lot_id),
            request.cooling,
            [reading_from_proto(each) for each in request.readings],
            self._occasion(request.occasion),
        )
        return lot_to_proto(lot)

    @timed("correct")
    async def CorrectLotEvent(self, request: pb.CorrectLotEventRequest, context: Context) -> pb.Lot:
        lot = await self._do.correct(
            caller(),
            id_from_proto(request.lot_id),
            id_from_proto(request.event_id),
            request.reason,
            list(map(id_from_proto, request.corrective_event_ids)),
            quantity_from_proto(request.quantity) if request.HasField("quantity") else None,
            request.etag,
        )
        return lot_to_proto(lot)

    @timed("pack")
    async def PackUnit(self, request: pb.PackUnitRequest, context: Context) -> pb.PackUnitResponse:
        unit_id, lots = await self._do.pack(
            caller(),
            request.unit_id,
            list(dict.fromkeys(map(id_from_proto, request.lot_ids))),
            self._occasion(request.occasion),
        )
        return pb.PackUnitResponse(unit_id=unit_id, lots=map(lot_to_proto, lots))

    @timed("unpack")
    async def UnpackUnit(self, request: pb.UnpackUnitRequest, context: Context) -> pb.UnpackUnitResponse:
        unit_id, lots = await self._do.unpack(
            caller(),
            request.unit_id,
            list(dict.fromkeys(map(id_from_proto, request.lot_ids))),
            self._occasion(request.occasion),
        )
        return pb.UnpackUnitResponse(unit_id=unit_id, lots=map(lot_to_proto, lots))

    @timed("ship_unit")
    async def ShipUnit(self, request: pb.ShipUnitRequest, context: Context) -> pb.ShipUnitResponse:
        lots = await self._do.ship_unit(
            caller(), request.unit_id, id_from_proto(request.to_id), self._occasion(request.occasion)
        )
        shipment = next(lot.shipment for lot in lots)
        return pb.ShipUnitResponse(
            shipment_id=shipment.shipment_id if shipment else "", lots=map(lot_to_proto, lots)
        )

    @timed("receive_unit")
    async def ReceiveUnit(self, request: pb.ReceiveUnitRequest, context: Context) -> pb.ReceiveUnitResponse:
        lots = await self._do.receive_unit(
            caller(),
            request.unit_id,
            id_from_proto(request.shipment_id),
            {id_from_proto(each.lot_id): quantity_from_proto(each.quantity) for each in request.counts},
            self._occasion(request.occasion),
        )
        return pb.ReceiveUnitResponse(lots=map(lot_to_proto, lots))

    def _occasion(self, proto: pb.Occasion) -> Occasion:
        return occasion_from_proto(proto, self._do.clock.now())
