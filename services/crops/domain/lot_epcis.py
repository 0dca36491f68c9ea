"""GreenLedger's own lots in the words of EPCIS: each fact as the event that partners know it by.

Source: design of traceability; CBV 2.0 for steps and dispositions.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from chassis.quantity import Quantity
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.context import GS1_CONTEXT
from services.crops.domain.epcis.jsontext import Json
from services.crops.domain.epcis.times import Timestamp
from services.crops.domain.events import (
    LotCorrected,
    LotCustodyChanged,
    LotDestroyed,
    LotEvent,
    LotHeld,
    LotHoldReleased,
    LotMinted,
    LotQuantityCommitted,
    LotRecalled,
    LotRecallReleased,
    LotServed,
    LotSold,
    LotSplit,
    LotTransferred,
    LotTransformed,
    Purpose,
    Step,
)
from services.crops.domain.physical import PhysicalEvent
from services.crops.domain.physical_epcis import tell
from services.crops.domain.telling import UTC, Telling, amount, goods, place, urn

CONTEXT: Final[Json] = [GS1_CONTEXT, {"greenledger": "https://greenledger.example/epcis/"}]
_STEPS: Final = {
    Step.MERGE: "repackaging",
    Step.INITIAL_PACK: "commissioning",
    Step.PROCESS: "commissioning",
    Step.COOK: "commissioning",
}


def visibility_event(  # noqa: PLR0911 - one for each kind of event
    event_id: str, recorded_at: datetime, event: LotEvent
) -> m.BusinessEvent | None:
    """A lot's fact as a visibility event; None for what partners do not see.

    Args:
        event_id: of the recorded fact.
        recorded_at: when it was recorded, aware.
        event: the fact.
    """
    if isinstance(event, PhysicalEvent):
        return tell(event_id, recorded_at, event)
    telling = Telling(event_id, recorded_at, event.at)
    match event:
        case LotMinted(parent_lot_id=None, transformation_id=None):
            return _minted(event_id, recorded_at, event)
        case LotSplit():
            return _split(telling, event)
        case LotTransformed():
            # Each input's history has the fact with an id of its own; to partners it is one event, of one id.
            return _transformed(Telling(event.transformation_id, recorded_at, event.at), event)
        case LotTransferred():
            parties = (event.previous_owner_id, event.new_owner_id)
            return telling.handing_over(
                event.lot_id, "owning_party", parties, event.transfer_id, event.reference_document
            )
        case LotQuantityCommitted(purpose=Purpose.RECEIPT):
            return telling.object(
                "OBSERVE",
                amount(event.lot_id, event.quantity),
                biz_step="receiving",
                disposition="in_progress",
                biz_location=place(urn(event.venue_id)),
            )
        case LotCustodyChanged():
            parties = (event.previous_custodian_id, event.custodian_id)
            return telling.handing_over(
                event.lot_id, "possessing_party", parties, event_id, event.reference_document
            )
        case LotRecalled():
            return _recalled(telling, event)
        case LotHeld() | LotHoldReleased() | LotRecallReleased():
            return _status(telling, event)
        case LotDestroyed():
            return telling.object(
                "DELETE",
                amount(event.lot_id, event.quantity),
                biz_step="destroying",
                disposition="destroyed",
                extensions=_reason(event.reason),
            )
        case LotServed():
            # Not which order it was: that is between the guest and the venue.
            return Telling(event_id, recorded_at, event.served_at).object(
                "DELETE",
                amount(event.lot_id, event.quantity),
                biz_step="retail_selling",
                disposition="retail_sold",
                read_point=place(urn(event.venue_id)),
            )
        case LotSold():
            document = event.reference_document
            return telling.object(
                "DELETE",
                amount(event.lot_id, event.quantity),
                biz_step="retail_selling",
                disposition="retail_sold",
                extensions={"greenledger:referenceDocument": document} if document else {},
            )
    return None


def declared_wrong(
    wrong: m.BusinessEvent,
    correction: LotCorrected,
    correctives: Sequence[m.BusinessEvent],
    recorded_at: datetime,
) -> m.BusinessEvent:
    """An event again, with the declaration that it was an error: it has the same id, and stands beside it.

    Args:
        wrong: as it was told first.
        correctives: what says what was right, as far as partners see it.
        recorded_at: when the correction was recorded.
    """
    held = correction.quantity
    declaration = m.ErrorDeclaration(
        declaration_time=Timestamp.of(correction.at),
        reason="incorrect_data" if held or correctives else "did_not_occur",
        corrective_event_ids=tuple(each.event_id for each in correctives if each.event_id) or None,
        extensions={
            **_reason(correction.reason),
            **({"greenledger:correctedQuantity": f"{held.text} {held.unit}"} if held else {}),
        },
    )
    return replace(wrong, error_declaration=declaration, record_time=Timestamp.of(recorded_at))


def _minted(event_id: str, recorded_at: datetime, event: LotMinted) -> m.ObjectEvent:
    offset, gln = event.harvest_utc_offset or UTC, event.origin.gln
    return Telling(event_id, recorded_at, event.harvest_time, offset).object(
        "ADD",
        amount(event.lot_id, event.quantity),
        biz_step="commissioning",
        disposition="active",
        read_point=place(f"https://id.gs1.org/414/{gln}" if gln else ""),
        ilmd={
            "cbvmda:lotNumber": event.lot_code,
            "cbvmda:itemExpirationDate": event.expire_time.date().isoformat(),
            "greenledger:productCode": event.product_code,
            "greenledger:farmName": event.origin.farm_name,
        },
    )


def _split(telling: Telling, event: LotSplit) -> m.TransformationEvent:
    unit = event.remaining.unit
    taken = sum((part.quantity.to(unit) for part in event.parts), start=Quantity.of(0, unit))
    parts = tuple(amount(part.lot_id, part.quantity) for part in event.parts)
    return telling.transformation((amount(event.lot_id, taken),), parts, biz_step="repackaging")


def _transformed(telling: Telling, event: LotTransformed) -> m.TransformationEvent:
    loss = {"greenledger:loss": f"{event.loss.amount.normalize():f} {event.loss.unit}"} if event.loss else {}
    return telling.transformation(
        tuple(amount(each.lot_id, each.quantity) for each in event.inputs),
        tuple(amount(each.lot_id, each.quantity) for each in event.outputs),
        biz_step=_STEPS[event.step],
        extensions=loss,
    )


def _status(telling: Telling, event: LotHeld | LotHoldReleased | LotRecallReleased) -> m.ObjectEvent:
    ended = isinstance(event, LotRecallReleased)
    return telling.object(
        "OBSERVE",
        goods(event.lot_id),
        # CBV 2.0 has no word for the step of releasing.
        biz_step="holding" if isinstance(event, LotHeld) else None,
        persistent_disposition=m.PersistentDisposition(unset=("recalled",)) if ended else None,
        extensions=_reason(event.reason),
    )


def _recalled(telling: Telling, event: LotRecalled) -> m.ObjectEvent:
    return telling.object(
        "OBSERVE",
        goods(event.lot_id),
        biz_step="holding",
        persistent_disposition=m.PersistentDisposition(set=("recalled",)),
        extensions={
            "greenledger:recallClass": event.recall_class.value,
            "greenledger:recallReason": event.reason,
            "greenledger:recalledLot": urn(event.root_lot_id),
        },
    )


def _reason(text: str) -> dict[str, Any]:
    return {"greenledger:reason": text} if text else {}
