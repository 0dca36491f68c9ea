"""Protobuf of the lots' API to and from ours."""

from collections.abc import Sequence

from chassis.context import Principal
from chassis.errors import InvalidArgument, Violation
from chassis.protobuf import (
    quantity_from_proto,
    quantity_to_proto,
    timestamp_from_proto,
    timestamp_to_proto,
)
from chassis.quantity import Quantity
from greenledger.crops.v1 import crops_pb2 as pb
from services.crops.adapters.physical_codec import shipment_to_proto
from services.crops.application.transform_lots import Transformed, Wanted
from services.crops.application.views import CustodyView, LotEventView, LotFilter, LotView, OwnershipView
from services.crops.domain.delivery import Delivery
from services.crops.domain.events import OfferKind, OfferOutcome, Origin, Purpose, RecallClass, Step
from services.crops.domain.harvest import Harvest
from services.crops.domain.lot import Commitment, LotState, Offer
from services.crops.domain.unit import unit_of

_STATES = {state: pb.LotState.Value(f"LOT_STATE_{state.value}") for state in LotState}
_STATES_FROM = {number: state for state, number in _STATES.items()}
_CLASSES = {pb.RecallClass.Value(f"RECALL_CLASS_{each.value}"): each for each in RecallClass}
_PURPOSES = {each: pb.CommitmentPurpose.Value(f"COMMITMENT_PURPOSE_{each.value}") for each in Purpose}
_PURPOSES_FROM = {number: purpose for purpose, number in _PURPOSES.items()}

_STEPS = {each: pb.TransformationStep.Value(f"TRANSFORMATION_STEP_{each.value}") for each in Step}
_STEPS_FROM = {number: step for step, number in _STEPS.items()}


def id_from_proto(text: str) -> str:
    """A UUID in the one form that is stored; the contract accepts capitals too."""
    return text.lower()


def harvest_from_proto(request: pb.MintLotRequest) -> Harvest:
    """What a grower says about a harvest.

    Raises:
        InvalidArgument: UNIT_UNKNOWN, QUANTITY_INVALID or TIMES_INVALID.
    """
    return Harvest(
        lot_code=request.lot_code,
        product_code=request.product_code,
        description=request.description,
        variety=request.variety,
        quantity=quantity_from_proto(request.quantity),
        origin=origin_from_proto(request.origin),
        harvest_time=timestamp_from_proto(request.harvest_time),
        harvest_utc_offset=request.harvest_utc_offset,
        expire_time=timestamp_from_proto(request.expire_time),
    )


def origin_from_proto(proto: pb.Origin) -> Origin:
    """Where a lot was grown."""
    return Origin(
        farm_name=proto.farm_name,
        field=proto.field,
        city=proto.city,
        region=proto.region,
        country_code=proto.country_code,
        gln=proto.gln,
    )


def origin_to_proto(origin: Origin) -> pb.Origin:
    """Where a lot was grown."""
    return pb.Origin(
        farm_name=origin.farm_name,
        field=origin.field,
        city=origin.city,
        region=origin.region,
        country_code=origin.country_code,
        gln=origin.gln,
    )


def recall_class_from_proto(number: pb.RecallClass.ValueType) -> RecallClass:
    """The class of a recall; the contract has refused UNSPECIFIED."""
    return _CLASSES[number]


def purpose_to_proto(purpose: Purpose) -> pb.CommitmentPurpose.ValueType:
    """What a commitment is for."""
    return _PURPOSES[purpose]


def commitment_from_proto(request: pb.CommitLotQuantityRequest, actor: Principal) -> Commitment:
    """What is to be committed; the contract has refused UNSPECIFIED.

    Raises:
        InvalidArgument: UNIT_UNKNOWN or QUANTITY_INVALID; VALIDATION_FAILED for a receipt without a venue.
    """
    purpose = _PURPOSES_FROM[request.purpose]
    if (purpose is Purpose.RECEIPT) != bool(request.venue_id):
        raise InvalidArgument(
            "VALIDATION_FAILED",
            "The request breaks rules of the contract.",
            violations=[Violation("venue_id", "is needed for a receipt, and for nothing else")],
        )
    return Commitment(
        quantity=quantity_from_proto(request.quantity),
        purpose=purpose,
        venue_id=id_from_proto(request.venue_id),
        made_by=actor.subject,
    )


def delivery_from_proto(request: pb.DeliverCommittedRequest, actor: Principal) -> Delivery:
    """What is to be delivered.

    Raises:
        InvalidArgument: UNIT_UNKNOWN or QUANTITY_INVALID.
    """
    return Delivery(
        delivery_id=id_from_proto(request.request_id),
        commitment_id=id_from_proto(request.commitment_id),
        quantity=quantity_from_proto(request.quantity),
        new_owner_id=id_from_proto(request.new_owner_id),
        lot_code=request.lot_code,
        made_by=actor.subject,
    )


def offer_kind_to_proto(kind: OfferKind) -> pb.OfferKind.ValueType:
    """What is offered."""
    return pb.OfferKind.Value(f"OFFER_KIND_{kind.value}")


def offer_kind_from_proto(number: pb.OfferKind.ValueType) -> OfferKind:
    """What is offered; the contract has refused UNSPECIFIED."""
    return OfferKind(pb.OfferKind.Name(number).removeprefix("OFFER_KIND_"))


def outcome_to_proto(outcome: OfferOutcome) -> pb.OfferOutcome.ValueType:
    """How an offer ended."""
    return pb.OfferOutcome.Value(f"OFFER_OUTCOME_{outcome.value}")


def offer_to_proto(offer: Offer) -> pb.Offer:
    """An open offer."""
    return pb.Offer(
        offer_id=offer.offer_id,
        kind=offer_kind_to_proto(offer.kind),
        offered_by=offer.offered_by,
        to_id=offer.to_id,
        expire_time=timestamp_to_proto(offer.expire_time),
        reference_document=offer.reference_document,
    )


def step_to_proto(step: Step) -> pb.TransformationStep.ValueType:
    """What was done to lots."""
    return _STEPS[step]


def step_from_proto(number: pb.TransformationStep.ValueType) -> Step:
    """What is to be done; the contract has refused UNSPECIFIED and MERGE."""
    return _STEPS_FROM[number]


def inputs_from_proto(inputs: Sequence[pb.LotInput]) -> list[tuple[str, Quantity | None]]:
    """How much of which lots is used; None for all that is free.

    Raises:
        InvalidArgument: UNIT_UNKNOWN or QUANTITY_INVALID.
    """
    return [
        (
            id_from_proto(each.lot_id),
            quantity_from_proto(each.quantity) if each.HasField("quantity") else None,
        )
        for each in inputs
    ]


def output_from_proto(output: pb.LotOutput) -> Wanted:
    """A lot to be made.

    Raises:
        InvalidArgument: UNIT_UNKNOWN, QUANTITY_INVALID or TIMES_INVALID.
    """
    return Wanted(
        lot_code=output.lot_code,
        product_code=output.product_code,
        description=output.description,
        variety=output.variety,
        quantity=quantity_from_proto(output.quantity),
        expire_time=timestamp_from_proto(output.expire_time),
    )


def transformed_to_proto(done: Transformed) -> pb.TransformLotsResponse:
    """What came of a transformation."""
    return pb.TransformLotsResponse(
        transformation_id=done.transformation_id,
        inputs=map(lot_to_proto, done.inputs),
        outputs=map(lot_to_proto, done.outputs),
    )


def filter_from_proto(request: pb.ListLotsRequest) -> LotFilter:
    """Which lots to list.

    Raises:
        InvalidArgument: IDENTIFIER_INVALID.
    """
    return LotFilter(
        owner_id=id_from_proto(request.owner_id),
        grower_id=id_from_proto(request.grower_id),
        product_code=request.product_code,
        lot_code=request.lot_code,
        state=_STATES_FROM.get(request.state),
        unit_id=unit_of(request.unit_id) if request.unit_id else "",
    )


def lot_to_proto(lot: LotView) -> pb.Lot:
    """A lot; its etag is its version."""
    return pb.Lot(
        lot_id=lot.lot_id,
        lot_code=lot.lot_code,
        product_code=lot.product_code,
        description=lot.description,
        variety=lot.variety,
        quantity=quantity_to_proto(lot.quantity),
        committed_quantity=quantity_to_proto(lot.committed),
        grower_id=lot.grower_id,
        owner_id=lot.owner_id,
        state=_STATES[lot.state],
        origin=origin_to_proto(lot.origin),
        harvest_time=timestamp_to_proto(lot.harvest_time),
        expire_time=timestamp_to_proto(lot.expire_time),
        parent_lot_id=lot.parent_lot_id or "",
        parent_lot_ids=lot.parent_lot_ids,
        transfer_count=lot.transfer_count,
        last_transfer_time=timestamp_to_proto(lot.last_transfer_time) if lot.last_transfer_time else None,
        recall_reason=lot.recall_reason,
        hold_reason=lot.hold_reason,
        custodian_id=lot.custodian_id,
        offer=offer_to_proto(lot.offer) if lot.offer else None,
        unit_id=lot.unit_id,
        shipment=shipment_to_proto(lot.shipment) if lot.shipment else None,
        create_time=timestamp_to_proto(lot.create_time),
        update_time=timestamp_to_proto(lot.update_time),
        etag=str(lot.version),
    )


def event_to_proto(event: LotEventView) -> pb.LotEvent:
    """One line of a lot's history."""
    return pb.LotEvent(
        event_id=event.event_id,
        version=event.version,
        type=event.type,
        recorded_time=timestamp_to_proto(event.recorded_time),
        actor=event.actor,
        summary=event.summary,
        quantity=quantity_to_proto(event.quantity) if event.quantity else None,
        owner_id=event.owner_id,
        reference_document=event.reference_document,
        corrected_by=event.corrected_by,
    )


def custody_to_proto(custody: CustodyView) -> pb.Custody:
    """One custodian's time with a lot."""
    until = custody.until_time
    return pb.Custody(
        custodian_id=custody.custodian_id,
        from_time=timestamp_to_proto(custody.from_time),
        until_time=timestamp_to_proto(until) if until else None,
    )


def ownership_to_proto(ownership: OwnershipView) -> pb.Ownership:
    """One owner's time with a lot."""
    until = ownership.until_time
    return pb.Ownership(
        owner_id=ownership.owner_id,
        from_time=timestamp_to_proto(ownership.from_time),
        until_time=timestamp_to_proto(until) if until else None,
    )
