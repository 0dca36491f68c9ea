"""GreenLedger's own lots in the words of EPCIS: each fact as the event that partners know it by.

Lots, users and venues are no keys of GS1, so they are named by `urn:uuid:`, the registered URI of a UUID.
Source: design of traceability; CBV 2.0 for steps and dispositions.
"""

from datetime import datetime
from typing import Final

from chassis.quantity import Quantity
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.context import GS1_CONTEXT
from services.crops.domain.epcis.facts import PIECES
from services.crops.domain.epcis.jsontext import Json
from services.crops.domain.epcis.times import Timestamp
from services.crops.domain.events import (
    LotCustodyChanged,
    LotDestroyed,
    LotEvent,
    LotHeld,
    LotHoldReleased,
    LotMinted,
    LotQuantityCommitted,
    LotRecalled,
    LotRecallReleased,
    LotSplit,
    LotTransferred,
    LotTransformed,
    Purpose,
    Step,
)

CONTEXT: Final[Json] = [GS1_CONTEXT, {"greenledger": "https://greenledger.example/epcis/"}]
_UTC: Final = "+00:00"
_STEPS: Final = {
    Step.MERGE: "repackaging",
    Step.INITIAL_PACK: "commissioning",
    Step.PROCESS: "commissioning",
    Step.COOK: "commissioning",
}


def urn(identifier: str) -> str:
    """The URI of one of GreenLedger's own things."""
    return f"urn:uuid:{identifier}"


def visibility_event(event_id: str, recorded_at: datetime, event: LotEvent) -> m.Event | None:
    """A lot's fact as a visibility event; None for what partners do not see.

    Args:
        event_id: of the recorded fact.
        recorded_at: when it was recorded, aware.
        event: the fact.
    """
    told: m.Event | None = None
    match event:
        case LotMinted(parent_lot_id=None, transformation_id=None):
            told = _minted(event_id, recorded_at, event)
        case LotSplit():
            told = _split(event_id, recorded_at, event)
        case LotTransformed():
            told = _transformed(recorded_at, event)
        case LotTransferred():
            told = _transferred(event_id, recorded_at, event)
        case LotQuantityCommitted(purpose=Purpose.RECEIPT):
            told = _received(event_id, recorded_at, event)
        case LotCustodyChanged():
            told = _handed_over(event_id, recorded_at, event)
        case LotRecalled():
            told = _recalled(event_id, recorded_at, event)
        case LotHeld() | LotHoldReleased() | LotRecallReleased():
            told = _status(event_id, recorded_at, event)
        case LotDestroyed():
            told = _destroyed(event_id, recorded_at, event)
    return told


def _minted(event_id: str, recorded_at: datetime, event: LotMinted) -> m.Event:
    return m.ObjectEvent(
        event_time=Timestamp.of(event.harvest_time),
        event_time_zone_offset=event.harvest_utc_offset or _UTC,
        record_time=Timestamp.of(recorded_at),
        event_id=urn(event_id),
        action="ADD",
        quantities=(_amount(event.lot_id, event.quantity),),
        biz_step="commissioning",
        disposition="active",
        read_point=_place(event),
        ilmd={
            "cbvmda:lotNumber": event.lot_code,
            "cbvmda:itemExpirationDate": event.expire_time.date().isoformat(),
            "greenledger:productCode": event.product_code,
            "greenledger:farmName": event.origin.farm_name,
        },
    )


def _split(event_id: str, recorded_at: datetime, event: LotSplit) -> m.Event:
    parts = tuple(_amount(part.lot_id, part.quantity) for part in event.parts)
    unit = event.remaining.unit
    taken = sum((part.quantity.to(unit) for part in event.parts), start=Quantity.of(0, unit))
    return m.TransformationEvent(
        event_time=Timestamp.of(event.at),
        event_time_zone_offset=_UTC,
        record_time=Timestamp.of(recorded_at),
        event_id=urn(event_id),
        transformation_id=urn(event_id),
        input_quantities=(_amount(event.lot_id, taken),),
        output_quantities=parts,
        biz_step="repackaging",
        disposition="active",
    )


def _transformed(recorded_at: datetime, event: LotTransformed) -> m.Event:
    # Each input's history has the fact with an id of its own; to partners it is one event, of one id.
    identity = urn(event.transformation_id)
    loss = {"greenledger:loss": f"{event.loss.amount.normalize():f} {event.loss.unit}"} if event.loss else {}
    return m.TransformationEvent(
        event_time=Timestamp.of(event.at),
        event_time_zone_offset=_UTC,
        record_time=Timestamp.of(recorded_at),
        event_id=identity,
        transformation_id=identity,
        input_quantities=tuple(_amount(each.lot_id, each.quantity) for each in event.inputs),
        output_quantities=tuple(_amount(each.lot_id, each.quantity) for each in event.outputs),
        biz_step=_STEPS[event.step],
        disposition="active",
        extensions=loss,
    )


def _handed_over(event_id: str, recorded_at: datetime, event: LotCustodyChanged) -> m.Event:
    document = event.reference_document
    return m.TransactionEvent(
        event_time=Timestamp.of(event.at),
        event_time_zone_offset=_UTC,
        record_time=Timestamp.of(recorded_at),
        event_id=urn(event_id),
        action="ADD",
        biz_transactions=(m.BizTransaction(biz_transaction=urn(event_id)),),
        quantities=(m.QuantityElement(epc_class=urn(event.lot_id)),),
        sources=(m.Source(type="possessing_party", source=urn(event.previous_custodian_id)),),
        destinations=(m.Destination(type="possessing_party", destination=urn(event.custodian_id)),),
        extensions={"greenledger:referenceDocument": document} if document else {},
    )


def _status(
    event_id: str, recorded_at: datetime, event: LotHeld | LotHoldReleased | LotRecallReleased
) -> m.Event:
    ended = isinstance(event, LotRecallReleased)
    return m.ObjectEvent(
        event_time=Timestamp.of(event.at),
        event_time_zone_offset=_UTC,
        record_time=Timestamp.of(recorded_at),
        event_id=urn(event_id),
        action="OBSERVE",
        quantities=(m.QuantityElement(epc_class=urn(event.lot_id)),),
        # CBV 2.0 has no word for the step of releasing.
        biz_step="holding" if isinstance(event, LotHeld) else None,
        persistent_disposition=m.PersistentDisposition(unset=("recalled",)) if ended else None,
        extensions={"greenledger:reason": event.reason} if event.reason else {},
    )


def _destroyed(event_id: str, recorded_at: datetime, event: LotDestroyed) -> m.Event:
    return m.ObjectEvent(
        event_time=Timestamp.of(event.at),
        event_time_zone_offset=_UTC,
        record_time=Timestamp.of(recorded_at),
        event_id=urn(event_id),
        action="DELETE",
        quantities=(_amount(event.lot_id, event.quantity),),
        biz_step="destroying",
        disposition="destroyed",
        extensions={"greenledger:reason": event.reason} if event.reason else {},
    )


def _transferred(event_id: str, recorded_at: datetime, event: LotTransferred) -> m.Event:
    document = event.reference_document
    own = m.BizTransaction(biz_transaction=urn(event.transfer_id))
    named = {"greenledger:referenceDocument": document} if document else {}
    return m.TransactionEvent(
        event_time=Timestamp.of(event.at),
        event_time_zone_offset=_UTC,
        record_time=Timestamp.of(recorded_at),
        event_id=urn(event_id),
        action="ADD",
        biz_transactions=(own,),
        quantities=(m.QuantityElement(epc_class=urn(event.lot_id)),),
        sources=(m.Source(type="owning_party", source=urn(event.previous_owner_id)),),
        destinations=(m.Destination(type="owning_party", destination=urn(event.new_owner_id)),),
        extensions=named,
    )


def _received(event_id: str, recorded_at: datetime, event: LotQuantityCommitted) -> m.Event:
    return m.ObjectEvent(
        event_time=Timestamp.of(event.at),
        event_time_zone_offset=_UTC,
        record_time=Timestamp.of(recorded_at),
        event_id=urn(event_id),
        action="OBSERVE",
        quantities=(_amount(event.lot_id, event.quantity),),
        biz_step="receiving",
        disposition="in_progress",
        biz_location=m.Place(id=urn(event.venue_id)),
    )


def _recalled(event_id: str, recorded_at: datetime, event: LotRecalled) -> m.Event:
    return m.ObjectEvent(
        event_time=Timestamp.of(event.at),
        event_time_zone_offset=_UTC,
        record_time=Timestamp.of(recorded_at),
        event_id=urn(event_id),
        action="OBSERVE",
        quantities=(m.QuantityElement(epc_class=urn(event.lot_id)),),
        biz_step="holding",
        persistent_disposition=m.PersistentDisposition(set=("recalled",)),
        extensions={
            "greenledger:recallClass": event.recall_class.value,
            "greenledger:recallReason": event.reason,
            "greenledger:recalledLot": urn(event.root_lot_id),
        },
    )


def _amount(lot_id: str, quantity: Quantity) -> m.QuantityElement:
    unit = None if quantity.unit in (PIECES, "EA") else quantity.unit
    return m.QuantityElement(epc_class=urn(lot_id), quantity=quantity.amount.normalize(), uom=unit)


def _place(event: LotMinted) -> m.Place | None:
    gln = event.origin.gln
    return m.Place(id=f"https://id.gs1.org/414/{gln}") if gln else None
