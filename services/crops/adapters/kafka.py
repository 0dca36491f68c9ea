"""Lot facts as domain events for other services."""

from collections.abc import Sequence

from google.protobuf.message import Message

from chassis.outbox import Publication
from chassis.protobuf import quantity_to_proto, timestamp_to_proto
from greenledger.crops.v1 import crops_pb2, events_pb2
from services.crops.adapters.codec import (
    offer_kind_to_proto,
    origin_to_proto,
    outcome_to_proto,
    purpose_to_proto,
    step_to_proto,
)
from services.crops.adapters.physical_kafka import publication as physical_publication
from services.crops.domain.events import (
    LotCorrected,
    LotCustodyChanged,
    LotDestroyed,
    LotEvent,
    LotHeld,
    LotHoldReleased,
    LotMinted,
    LotOffered,
    LotOfferEnded,
    LotQuantityCommitted,
    LotQuantityDelivered,
    LotQuantityReleased,
    LotRecalled,
    LotRecallReleased,
    LotServed,
    LotSold,
    LotSplit,
    LotTransferred,
    LotTransformed,
)
from services.crops.domain.physical import PhysicalEvent


def servings(events: Sequence[LotEvent]) -> list[Publication]:
    """What others are told of servings that are recorded together.

    Of many orders it is told once for each lot: what each of them took, inventory has told.
    """
    served: dict[str, list[LotServed]] = {}
    for event in events:
        if isinstance(event, LotServed):
            served.setdefault(event.lot_id, []).append(event)
    return [_served(lot_id, facts) for lot_id, facts in served.items()]


def _served(lot_id: str, facts: Sequence[LotServed]) -> Publication:
    last = facts[-1]
    quantity = sum((each.quantity for each in facts[1:]), start=facts[0].quantity)
    payload = events_pb2.LotServed(
        lot_id=lot_id,
        quantity=quantity_to_proto(quantity),
        remaining=quantity_to_proto(last.remaining),
        servings=len(facts),
    )
    return Publication("crop.served", lot_id, payload, "lot", occurred_time=last.at)


def publication(event: LotEvent) -> Publication | None:
    """What others are told of a fact; None for what concerns nobody else (transfers begun or cancelled, the
    tombstones of commitments), and for servings, see `servings`. What is in the histories of several lots is
    told once."""
    if isinstance(event, LotTransformed):
        return _transformed(event) if event.lot_id == event.inputs[0].lot_id else None
    if isinstance(event, PhysicalEvent):
        return physical_publication(event)
    encoded = _encode(event)
    if encoded is None:
        return None
    topic, payload = encoded
    return Publication(topic, event.lot_id, payload, "lot", occurred_time=event.at)


def _encode(event: LotEvent) -> tuple[str, Message] | None:  # noqa: PLR0911, PLR0912 - one for each kind of event
    match event:
        case LotMinted():
            return "crop.minted", _minted(event)
        case LotTransferred():
            return "crop.transferred", events_pb2.LotTransferred(
                lot_id=event.lot_id,
                previous_owner_id=event.previous_owner_id,
                new_owner_id=event.new_owner_id,
                reference_document=event.reference_document,
                transfer_number=event.transfer_number,
                custodian_id=event.custodian_id,
            )
        case LotSplit():
            return "crop.split", events_pb2.LotSplit(
                lot_id=event.lot_id,
                part_lot_ids=[part.lot_id for part in event.parts],
                remaining=quantity_to_proto(event.remaining),
            )
        case LotQuantityCommitted():
            return "crop.quantity-committed", events_pb2.LotQuantityCommitted(
                lot_id=event.lot_id,
                commitment_id=event.commitment_id,
                quantity=quantity_to_proto(event.quantity),
                purpose=purpose_to_proto(event.purpose),
                venue_id=event.venue_id,
            )
        case LotQuantityDelivered():
            return "crop.quantity-delivered", events_pb2.LotQuantityDelivered(
                lot_id=event.lot_id,
                commitment_id=event.commitment_id,
                quantity=quantity_to_proto(event.quantity),
                delivered_lot_id=event.delivered_lot_id,
                new_owner_id=event.new_owner_id,
            )
        case LotQuantityReleased(quantity=quantity) if not quantity.is_zero:
            return "crop.quantity-released", events_pb2.LotQuantityReleased(
                lot_id=event.lot_id,
                commitment_id=event.commitment_id,
                quantity=quantity_to_proto(quantity),
            )
        case LotRecalled():
            return "crop.recalled", events_pb2.LotRecalled(
                lot_id=event.lot_id,
                root_lot_id=event.root_lot_id,
                reason=event.reason,
                recall_class=crops_pb2.RecallClass.Value(f"RECALL_CLASS_{event.recall_class.value}"),
                owner_id=event.owner_id,
                recall_id=event.recall_id,
                lot_code=event.lot_code,
                grower_id=event.grower_id,
            )
        case LotRecallReleased():
            return "crop.recall-released", events_pb2.LotRecallReleased(
                lot_id=event.lot_id,
                root_lot_id=event.root_lot_id,
                reason=event.reason,
                recall_id=event.recall_id,
            )
        case LotOffered():
            return "crop.offered", events_pb2.LotOffered(
                lot_id=event.lot_id,
                offer_id=event.offer_id,
                kind=offer_kind_to_proto(event.kind),
                offered_by=event.offered_by,
                to_id=event.to_id,
                expire_time=timestamp_to_proto(event.expire_time),
                reference_document=event.reference_document,
            )
        case LotOfferEnded():
            return "crop.offer-ended", events_pb2.LotOfferEnded(
                lot_id=event.lot_id, offer_id=event.offer_id, outcome=outcome_to_proto(event.outcome)
            )
        case LotCustodyChanged():
            return "crop.custody-changed", events_pb2.LotCustodyChanged(
                lot_id=event.lot_id,
                previous_custodian_id=event.previous_custodian_id,
                custodian_id=event.custodian_id,
                reference_document=event.reference_document,
            )
        case LotHeld():
            return "crop.held", events_pb2.LotHeld(
                lot_id=event.lot_id, reason=event.reason, held_by=event.held_by, official=event.official
            )
        case LotHoldReleased():
            return "crop.hold-released", events_pb2.LotHoldReleased(lot_id=event.lot_id, reason=event.reason)
        case LotCorrected():
            return "crop.corrected", events_pb2.LotCorrected(
                lot_id=event.lot_id,
                event_id=event.event_id,
                reason=event.reason,
                corrective_event_ids=event.corrective_event_ids,
                quantity=quantity_to_proto(event.quantity) if event.quantity else None,
            )
        case LotDestroyed():
            return "crop.destroyed", events_pb2.LotDestroyed(
                lot_id=event.lot_id,
                quantity=quantity_to_proto(event.quantity),
                remaining=quantity_to_proto(event.remaining),
                reason=event.reason,
            )
        case LotSold():
            return "crop.sold", events_pb2.LotSold(
                lot_id=event.lot_id,
                quantity=quantity_to_proto(event.quantity),
                remaining=quantity_to_proto(event.remaining),
                sold_by=event.sold_by,
                reference_document=event.reference_document,
            )
    return None


def _transformed(event: LotTransformed) -> Publication:
    payload = events_pb2.LotTransformed(
        transformation_id=event.transformation_id,
        step=step_to_proto(event.step),
        owner_id=event.owner_id,
        inputs=[
            crops_pb2.TransformedInput(
                lot_id=each.lot_id,
                quantity=quantity_to_proto(each.quantity),
                remaining=quantity_to_proto(each.remaining),
            )
            for each in event.inputs
        ],
        outputs=[
            crops_pb2.TransformedOutput(lot_id=each.lot_id, quantity=quantity_to_proto(each.quantity))
            for each in event.outputs
        ],
        loss=quantity_to_proto(event.loss) if event.loss else None,
    )
    return Publication(
        "crop.transformed", event.transformation_id, payload, "transformation", occurred_time=event.at
    )


def _minted(event: LotMinted) -> events_pb2.LotMinted:
    return events_pb2.LotMinted(
        lot_id=event.lot_id,
        lot_code=event.lot_code,
        product_code=event.product_code,
        quantity=quantity_to_proto(event.quantity),
        grower_id=event.grower_id,
        owner_id=event.owner_id,
        origin=origin_to_proto(event.origin),
        harvest_time=timestamp_to_proto(event.harvest_time),
        expire_time=timestamp_to_proto(event.expire_time),
        parent_lot_id=event.parent_lot_id or "",
        parent_lot_ids=event.parent_lot_ids,
        transformation_id=event.transformation_id or "",
        custodian_id=event.custodian_id,
    )
