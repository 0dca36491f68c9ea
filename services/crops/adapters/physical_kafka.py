"""What physically happened to goods as domain events for other services."""

from google.protobuf.message import Message

from chassis.outbox import Publication
from chassis.protobuf import quantity_to_proto
from greenledger.crops.v1 import events_pb2
from services.crops.adapters.physical_codec import occasion_to_proto, reading_to_proto, stage_to_proto
from services.crops.domain.physical import (
    LotArrived,
    LotObserved,
    LotPacked,
    LotShipmentVoided,
    LotShipped,
    LotTransportUpdated,
    LotUnpacked,
    PhysicalEvent,
)

_OfOneLot = LotShipped | LotShipmentVoided | LotArrived | LotTransportUpdated | LotObserved


def publication(event: PhysicalEvent) -> Publication | None:
    """What others are told of a fact; a packing is in the history of each of its lots, but told once."""
    if isinstance(event, LotPacked | LotUnpacked):
        if event.lot_id != event.contents[0].lot_id:
            return None
        topic, payload = _packing(event)
        return Publication(topic, event.unit_id, payload, "unit", occurred_time=event.at)
    topic, payload = _encode(event)
    return Publication(topic, event.lot_id, payload, "lot", occurred_time=event.at)


def _packing(event: LotPacked | LotUnpacked) -> tuple[str, Message]:
    lot_ids = [each.lot_id for each in event.contents]
    occasion = occasion_to_proto(event.occasion)
    if isinstance(event, LotPacked):
        return "crop.unit-packed", events_pb2.UnitPacked(
            unit_id=event.unit_id, lot_ids=lot_ids, packed_by=event.packed_by, occasion=occasion
        )
    return "crop.unit-unpacked", events_pb2.UnitUnpacked(
        unit_id=event.unit_id, lot_ids=lot_ids, unpacked_by=event.unpacked_by, occasion=occasion
    )


def _encode(event: _OfOneLot) -> tuple[str, Message]:
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
