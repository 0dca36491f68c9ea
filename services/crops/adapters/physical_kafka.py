"""What physically happened to goods as domain events for other services."""

from google.protobuf.message import Message

from chassis.protobuf import quantity_to_proto
from greenledger.crops.v1 import events_pb2
from services.crops.adapters.physical_codec import occasion_to_proto, reading_to_proto, stage_to_proto
from services.crops.domain.physical import (
    LotArrived,
    LotObserved,
    LotShipmentVoided,
    LotShipped,
    LotTransportUpdated,
    PhysicalEvent,
)


def encode(event: PhysicalEvent) -> tuple[str, Message]:
    """Topic and payload of a fact."""
    occasion = occasion_to_proto(event.occasion)
    match event:
        case LotShipped():
            return "crop.shipped", events_pb2.LotShipped(
                lot_id=event.lot_id,
                shipment_id=event.shipment_id,
                from_id=event.from_id,
                to_id=event.to_id,
                quantity=quantity_to_proto(event.quantity),
                unit_id=event.unit_id,
                occasion=occasion,
            )
        case LotShipmentVoided():
            return "crop.shipment-voided", events_pb2.LotShipmentVoided(
                lot_id=event.lot_id, shipment_id=event.shipment_id, reason=event.reason, occasion=occasion
            )
        case LotArrived():
            return "crop.arrived", events_pb2.LotArrived(
                lot_id=event.lot_id,
                shipment_id=event.shipment_id,
                from_id=event.from_id,
                receiver_id=event.receiver_id,
                quantity=quantity_to_proto(event.quantity),
                occasion=occasion,
            )
        case LotTransportUpdated():
            return "crop.transport-updated", events_pb2.LotTransportUpdated(
                lot_id=event.lot_id,
                shipment_id=event.shipment_id,
                stage=stage_to_proto(event.stage),
                occasion=occasion,
            )
        case LotObserved():
            return "crop.observed", events_pb2.LotObserved(
                lot_id=event.lot_id,
                observed_by=event.observed_by,
                cooling=event.cooling,
                readings=map(reading_to_proto, event.readings),
                occasion=occasion,
            )
