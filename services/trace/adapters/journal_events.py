"""What services say of lots, as entries of the journal."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from chassis.inbox import ReceivedEvent
from chassis.protobuf import quantity_from_proto, timestamp_from_proto
from greenledger.crops.v1 import crops_pb2
from greenledger.crops.v1 import events_pb2 as crops
from greenledger.inventory.v1 import events_pb2 as inventory
from services.trace.adapters.crop_events import happened, quantity_of
from services.trace.domain.journal import CORRECTIVES, SPLIT_BY, Entry, EntryKind

Entries = Iterable[Entry]
_NOWHERE: Final = crops_pb2.Occasion()


def _entry(
    event: ReceivedEvent[Any],
    kind: EntryKind,
    lot_id: str,
    occasion: crops_pb2.Occasion = _NOWHERE,
    *,
    detail: Mapping[str, str] | None = None,
    event_id: str = "",
    **said: Any,
) -> Entry:
    """An entry by the id that the lot's history has for it; of older events, by that of the message."""
    documents = said.pop("documents", None) or tuple(
        (crops_pb2.DocumentType.Name(each.type).removeprefix("DOCUMENT_TYPE_"), each.document_id)
        for each in occasion.documents
    )
    return Entry(
        lot_id=lot_id,
        event_id=event_id or event.event_id,
        kind=kind,
        at=happened(event, occasion),
        recorded=event.recorded_time,
        utc_offset=occasion.utc_offset,
        read_point=occasion.read_point,
        biz_location=occasion.biz_location,
        documents=documents,
        detail={name: value for name, value in (detail or {}).items() if value},
        **said,
    )


def minted(event: ReceivedEvent[crops.LotMinted]) -> Entries:
    lot, origin = event.payload, event.payload.origin
    quantity = quantity_from_proto(lot.quantity)
    yield _entry(
        event,
        EntryKind.MINTED,
        lot.lot_id,
        quantity=quantity,
        party_id=lot.owner_id,
        other_id=lot.parent_lot_id,
        reference=lot.transformation_id,
        detail={
            "grower_id": lot.grower_id,
            "farm": origin.farm_name,
            "field": origin.field,
            "city": origin.city,
            "region": origin.region,
            "country": origin.country_code,
            "gln": origin.gln,
            "parents": " ".join(lot.parent_lot_ids),
        },
    )
    if lot.parent_lot_id and not lot.transformation_id:
        yield _entry(
            event,
            EntryKind.SPLIT_OFF,
            lot.parent_lot_id,
            quantity=quantity,
            reference=lot.lot_id,
            detail={SPLIT_BY: lot.parent_event_id},
        )


def transferred(event: ReceivedEvent[crops.LotTransferred]) -> Entries:
    payload = event.payload
    document = payload.reference_document
    yield _entry(
        event,
        EntryKind.OWNED,
        payload.lot_id,
        party_id=payload.new_owner_id,
        other_id=payload.previous_owner_id,
        documents=(("", document),) if document else (),
        detail={"custodian_id": payload.custodian_id},
    )


def split(event: ReceivedEvent[crops.LotSplit]) -> Entries:
    remaining = quantity_from_proto(event.payload.remaining)
    yield _entry(event, EntryKind.SPLIT, event.payload.lot_id, remaining=remaining)


def transformed(event: ReceivedEvent[crops.LotTransformed]) -> Entries:
    payload = event.payload
    said = {
        "step": crops_pb2.TransformationStep.Name(payload.step).removeprefix("TRANSFORMATION_STEP_"),
        "loss": payload.loss.amount,
        "loss_unit": payload.loss.unit_code,
    }
    for number, used in enumerate(payload.inputs):
        yield _entry(
            event,
            EntryKind.USED,
            used.lot_id,
            event_id=_at(payload.input_event_ids, number),
            number=number,
            quantity=quantity_of(used),
            remaining=quantity_of(used, "remaining"),
            party_id=payload.owner_id,
            reference=payload.transformation_id,
            detail=said,
        )
    for number, made in enumerate(payload.outputs):
        yield _entry(
            event,
            EntryKind.MADE,
            made.lot_id,
            event_id=_at(payload.output_event_ids, number),
            number=number,
            quantity=quantity_of(made),
            party_id=payload.owner_id,
            reference=payload.transformation_id,
            detail=said,
        )


def committed(event: ReceivedEvent[crops.LotQuantityCommitted]) -> Entries:
    payload = event.payload
    yield _entry(
        event,
        EntryKind.COMMITTED,
        payload.lot_id,
        quantity=quantity_of(payload),
        party_id=payload.venue_id,
        reference=payload.commitment_id,
    )


def released(event: ReceivedEvent[crops.LotQuantityReleased]) -> Entries:
    payload = event.payload
    yield _entry(
        event,
        EntryKind.RELEASED,
        payload.lot_id,
        quantity=quantity_of(payload),
        reference=payload.commitment_id,
    )


def delivered(event: ReceivedEvent[crops.LotQuantityDelivered]) -> Entries:
    payload = event.payload
    yield _entry(
        event,
        EntryKind.DELIVERED,
        payload.lot_id,
        quantity=quantity_of(payload),
        party_id=payload.new_owner_id,
        other_id=payload.delivered_lot_id,
        reference=payload.commitment_id,
    )


def destroyed(event: ReceivedEvent[crops.LotDestroyed]) -> Entries:
    payload = event.payload
    yield _entry(
        event,
        EntryKind.DESTROYED,
        payload.lot_id,
        quantity=quantity_of(payload),
        remaining=quantity_of(payload, "remaining"),
        detail={"reason": payload.reason},
    )


def sold(event: ReceivedEvent[crops.LotSold]) -> Entries:
    payload = event.payload
    document = payload.reference_document
    yield _entry(
        event,
        EntryKind.SOLD,
        payload.lot_id,
        quantity=quantity_of(payload),
        remaining=quantity_of(payload, "remaining"),
        party_id=payload.sold_by,
        documents=(("", document),) if document else (),
    )


def served(event: ReceivedEvent[crops.LotServed]) -> Entries:
    payload = event.payload
    yield _entry(
        event,
        EntryKind.SERVED,
        payload.lot_id,
        quantity=quantity_of(payload),
        remaining=quantity_of(payload, "remaining"),
    )


def corrected(event: ReceivedEvent[crops.LotCorrected]) -> Entries:
    payload = event.payload
    yield _entry(
        event,
        EntryKind.CORRECTED,
        payload.lot_id,
        remaining=quantity_of(payload),
        reference=payload.event_id,
        detail={"reason": payload.reason, CORRECTIVES: " ".join(payload.corrective_event_ids)},
    )


def custody_changed(event: ReceivedEvent[crops.LotCustodyChanged]) -> Entries:
    payload = event.payload
    document = payload.reference_document
    yield _entry(
        event,
        EntryKind.CUSTODY,
        payload.lot_id,
        party_id=payload.custodian_id,
        other_id=payload.previous_custodian_id,
        documents=(("", document),) if document else (),
    )


def shipped(event: ReceivedEvent[crops.LotShipped]) -> Entries:
    payload = event.payload
    yield _entry(
        event,
        EntryKind.SHIPPED,
        payload.lot_id,
        payload.occasion,
        quantity=quantity_of(payload),
        party_id=payload.from_id,
        other_id=payload.to_id,
        reference=payload.shipment_id,
        detail={"unit_id": payload.unit_id},
    )


def voided(event: ReceivedEvent[crops.LotShipmentVoided]) -> Entries:
    payload = event.payload
    yield _entry(
        event,
        EntryKind.VOIDED,
        payload.lot_id,
        payload.occasion,
        reference=payload.shipment_id,
        detail={"reason": payload.reason},
    )


def arrived(event: ReceivedEvent[crops.LotArrived]) -> Entries:
    payload = event.payload
    yield _entry(
        event,
        EntryKind.ARRIVED,
        payload.lot_id,
        payload.occasion,
        quantity=quantity_of(payload),
        party_id=payload.receiver_id,
        other_id=payload.from_id,
        reference=payload.shipment_id,
    )


def transport(event: ReceivedEvent[crops.LotTransportUpdated]) -> Entries:
    payload = event.payload
    stage = crops_pb2.TransportStage.Name(payload.stage).removeprefix("TRANSPORT_STAGE_")
    yield _entry(
        event,
        EntryKind.TRANSPORT,
        payload.lot_id,
        payload.occasion,
        reference=payload.shipment_id,
        detail={"stage": stage},
    )


def observed(event: ReceivedEvent[crops.LotObserved]) -> Entries:
    payload = event.payload
    yield _entry(
        event,
        EntryKind.OBSERVED,
        payload.lot_id,
        payload.occasion,
        party_id=payload.observed_by,
        detail={"cooling": "yes" if payload.cooling else ""},
    )


def packed(event: ReceivedEvent[crops.UnitPacked]) -> Entries:
    payload = event.payload
    for lot_id, event_id in _lots_of(payload).items():
        yield _entry(
            event,
            EntryKind.PACKED,
            lot_id,
            payload.occasion,
            event_id=event_id,
            party_id=payload.packed_by,
            reference=payload.unit_id,
        )


def unpacked(event: ReceivedEvent[crops.UnitUnpacked]) -> Entries:
    payload = event.payload
    for lot_id, event_id in _lots_of(payload).items():
        yield _entry(
            event,
            EntryKind.UNPACKED,
            lot_id,
            payload.occasion,
            event_id=event_id,
            party_id=payload.unpacked_by,
            reference=payload.unit_id,
        )


def _lots_of(payload: crops.UnitPacked | crops.UnitUnpacked) -> dict[str, str]:
    """The lots, each once, with the id of the event in its history."""
    return {lot_id: _at(payload.event_ids, number) for number, lot_id in enumerate(payload.lot_ids)}


def _at(event_ids: Sequence[str], number: int) -> str:
    return event_ids[number] if number < len(event_ids) else ""


def received(event: ReceivedEvent[inventory.StockReceived]) -> Entries:
    payload = event.payload
    expires = timestamp_from_proto(payload.expire_time).isoformat() if payload.HasField("expire_time") else ""
    yield _entry(
        event,
        EntryKind.RECEIVED,
        payload.lot_id,
        quantity=quantity_of(payload),
        party_id=payload.venue_id,
        reference=payload.stock_item_id,
        detail={"expire_time": expires},
    )


def consumed(event: ReceivedEvent[inventory.StockConsumed]) -> Entries:
    payload = event.payload
    for number, taken in enumerate(payload.allocations):
        yield _entry(
            event,
            EntryKind.CONSUMED,
            taken.lot_id,
            number=number,
            quantity=quantity_of(taken),
            party_id=payload.venue_id,
            reference=payload.order_id,
            detail={"stock_item_id": taken.stock_item_id},
        )
