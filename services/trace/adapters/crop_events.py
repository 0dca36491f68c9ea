"""What crops says of lots, as facts of the graph."""

from datetime import datetime
from typing import Any

from chassis.inbox import ReceivedEvent
from chassis.protobuf import quantity_from_proto, timestamp_from_proto
from chassis.quantity import Quantity
from greenledger.crops.v1 import crops_pb2
from greenledger.crops.v1 import events_pb2 as crops
from services.trace.domain import facts as f
from services.trace.domain import movements as m


def happened(event: ReceivedEvent[Any], occasion: crops_pb2.Occasion) -> datetime:
    """When it happened: as the occasion says, else when it was done here."""
    if occasion.HasField("event_time"):
        return timestamp_from_proto(occasion.event_time)
    return event.occurred_time


def quantity_of(payload: Any, field: str = "quantity") -> Quantity | None:
    """A quantity that may be absent."""
    return quantity_from_proto(getattr(payload, field)) if payload.HasField(field) else None


def minted(event: ReceivedEvent[crops.LotMinted]) -> f.LotMinted:
    lot = event.payload
    return f.LotMinted(
        lot_id=lot.lot_id,
        lot_code=lot.lot_code,
        product_code=lot.product_code,
        quantity=quantity_from_proto(lot.quantity),
        grower_id=lot.grower_id,
        owner_id=lot.owner_id,
        farm_name=lot.origin.farm_name,
        harvest_time=timestamp_from_proto(lot.harvest_time),
        parent_lot_id=lot.parent_lot_id or None,
        parent_lot_ids=tuple(lot.parent_lot_ids),
        expire_time=timestamp_from_proto(lot.expire_time) if lot.HasField("expire_time") else None,
        at=event.occurred_time,
    )


def transferred(event: ReceivedEvent[crops.LotTransferred]) -> f.LotTransferred:
    return f.LotTransferred(
        lot_id=event.payload.lot_id,
        number=event.payload.transfer_number,
        new_owner_id=event.payload.new_owner_id,
        reference_document=event.payload.reference_document,
        custodian_id=event.payload.custodian_id,
        at=event.occurred_time,
        recorded=event.recorded_time,
    )


def split(event: ReceivedEvent[crops.LotSplit]) -> f.LotSplit:
    return f.LotSplit(
        lot_id=event.payload.lot_id,
        part_lot_ids=tuple(event.payload.part_lot_ids),
        remaining=quantity_from_proto(event.payload.remaining),
        at=event.occurred_time,
        recorded=event.recorded_time,
    )


def transformed(event: ReceivedEvent[crops.LotTransformed]) -> f.LotTransformed:
    payload = event.payload
    return f.LotTransformed(
        remaining=tuple((each.lot_id, quantity_from_proto(each.remaining)) for each in payload.inputs),
        output_lot_ids=tuple(each.lot_id for each in payload.outputs),
        at=event.occurred_time,
        recorded=event.recorded_time,
    )


def recalled(event: ReceivedEvent[crops.LotRecalled]) -> f.LotRecalled:
    """Before recalls had names they were known by the lot that they were called for."""
    recall_id = event.payload.recall_id or event.payload.root_lot_id
    return f.LotRecalled(lot_id=event.payload.lot_id, recall_id=recall_id, recorded=event.recorded_time)


def recall_released(event: ReceivedEvent[crops.LotRecallReleased]) -> m.LotRecallReleased:
    """By its name, by its root, and by nothing: as recalls of earlier times are known."""
    names = (event.payload.recall_id, event.payload.root_lot_id, "")
    return m.LotRecallReleased(
        lot_id=event.payload.lot_id, recall_ids=tuple(dict.fromkeys(names)), recorded=event.recorded_time
    )


def held(event: ReceivedEvent[crops.LotHeld]) -> m.HoldChanged:
    return m.HoldChanged(lot_id=event.payload.lot_id, held=True, recorded=event.recorded_time)


def hold_released(event: ReceivedEvent[crops.LotHoldReleased]) -> m.HoldChanged:
    return m.HoldChanged(lot_id=event.payload.lot_id, held=False, recorded=event.recorded_time)


def destroyed(event: ReceivedEvent[crops.LotDestroyed]) -> m.LotDestroyed:
    remaining = quantity_from_proto(event.payload.remaining)
    return m.LotDestroyed(lot_id=event.payload.lot_id, remaining=remaining, recorded=event.recorded_time)


def sold(event: ReceivedEvent[crops.LotSold] | ReceivedEvent[crops.LotServed]) -> m.LotSold:
    remaining = quantity_from_proto(event.payload.remaining)
    return m.LotSold(lot_id=event.payload.lot_id, remaining=remaining, recorded=event.recorded_time)


def corrected(event: ReceivedEvent[crops.LotCorrected]) -> m.LotCorrected:
    return m.LotCorrected(
        lot_id=event.payload.lot_id, quantity=quantity_of(event.payload), recorded=event.recorded_time
    )


def custody_changed(event: ReceivedEvent[crops.LotCustodyChanged]) -> m.CustodyChanged:
    return m.CustodyChanged(
        lot_id=event.payload.lot_id, custodian_id=event.payload.custodian_id, recorded=event.recorded_time
    )


def shipped(event: ReceivedEvent[crops.LotShipped]) -> m.LotShipped:
    payload = event.payload
    return m.LotShipped(
        lot_id=payload.lot_id,
        shipment_id=payload.shipment_id,
        from_id=payload.from_id,
        to_id=payload.to_id,
        quantity=quantity_of(payload),
        unit_id=payload.unit_id,
        at=happened(event, payload.occasion),
    )


def voided(event: ReceivedEvent[crops.LotShipmentVoided]) -> m.ShipmentVoided:
    payload = event.payload
    return m.ShipmentVoided(
        lot_id=payload.lot_id, shipment_id=payload.shipment_id, at=happened(event, payload.occasion)
    )


def arrived(event: ReceivedEvent[crops.LotArrived]) -> m.LotArrived:
    payload = event.payload
    return m.LotArrived(
        lot_id=payload.lot_id,
        shipment_id=payload.shipment_id,
        receiver_id=payload.receiver_id,
        quantity=quantity_of(payload),
        at=happened(event, payload.occasion),
        recorded=event.recorded_time,
    )


def packed(event: ReceivedEvent[crops.UnitPacked]) -> m.UnitChanged:
    return _unit(event, packed=True)


def unpacked(event: ReceivedEvent[crops.UnitUnpacked]) -> m.UnitChanged:
    return _unit(event, packed=False)


def _unit(
    event: ReceivedEvent[crops.UnitPacked] | ReceivedEvent[crops.UnitUnpacked], *, packed: bool
) -> m.UnitChanged:
    return m.UnitChanged(
        unit_id=event.payload.unit_id,
        lot_ids=tuple(dict.fromkeys(event.payload.lot_ids)),
        packed=packed,
        at=happened(event, event.payload.occasion),
        recorded=event.recorded_time,
    )
