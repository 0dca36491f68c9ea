"""Declaring an earlier event wrong: nothing is deleted, and the lot holds what is right."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime

from chassis.errors import Aborted, FailedPrecondition, NotFound, PermissionDenied, Violation
from chassis.quantity import Quantity
from services.crops.domain.events import (
    LotCorrected,
    LotEvent,
    LotHeld,
    LotHoldReleased,
    LotRecalled,
    LotRecallReleased,
    LotServed,
)
from services.crops.domain.hold import require_owner_or_operator
from services.crops.domain.lot import Lot
from services.crops.domain.physical import LotArrived, LotObserved, LotPacked, LotShipped, LotUnpacked
from services.crops.domain.transfer import require_no_transfer


def correct(
    lot: Lot,
    *,
    history: Mapping[str, LotEvent],
    event_id: str,
    reason: str,
    corrective_event_ids: Sequence[str],
    quantity: Quantity | None,
    etag: str,
    actor: str,
    is_operator: bool,
    now: datetime,
) -> LotCorrected:
    """Declare an event of a lot wrong, in any state of the lot.

    What the event did stays done, but for the quantity: new events put right what else was wrong.

    Args:
        history: all events of the lot by id, oldest first.
        quantity: what the lot holds by it; None when that did not change.
        etag: the lot's version that was counted; without a quantity empty for whichever there is.

    Raises:
        PermissionDenied: NOT_OWNER unless the owner or an operator asks, or whoever told a physical fact, of
            that fact and without a quantity; NOT_TELLER when the owner asks of a reading or an arrival that
            somebody else told, or of what only operators may take back.
        NotFound: LOT_EVENT_NOT_FOUND, of the event or a corrective one.
        FailedPrecondition: EVENT_CORRECTED before; for a quantity QUANTITY_COMMITTED, more is than it would
            hold, TRANSFER_UNDER_WAY or OFFER_OPEN.
        Aborted: ETAG_MISMATCH.
        InvalidArgument: UNIT_UNKNOWN or UNIT_MISMATCH.
    """
    told = history.get(event_id)
    if quantity is not None or told is None or actor != _teller(told):
        require_owner_or_operator(lot, actor, is_operator)
    _require_own(lot, event_id, "event_id", history)
    if not is_operator:
        _require_teller(lot, event_id, history, actor)
    for index, each in enumerate(corrective_event_ids):
        _require_own(lot, each, f"corrective_event_ids[{index}]", set(history) - {event_id})
    if event_id in lot.corrected:
        raise FailedPrecondition(
            "EVENT_CORRECTED", f"Event {event_id} was declared wrong before.", resource=("lot", lot.lot_id)
        )
    if (etag or quantity is not None) and etag != str(lot.version):
        raise Aborted(
            "ETAG_MISMATCH",
            "The lot is not at the version that was counted; look at it again.",
            metadata={"etag": str(lot.version)},
            resource=("lot", lot.lot_id),
        )
    return LotCorrected(
        lot_id=lot.lot_id,
        event_id=event_id,
        reason=reason,
        corrective_event_ids=tuple(corrective_event_ids),
        quantity=None if quantity is None else _held(lot, quantity),
        corrected_by=actor,
        at=now,
    )


def _teller(event: LotEvent) -> str:
    """Who told a physical fact; empty for any other."""
    match event:
        case LotShipped():
            return event.from_id
        case LotArrived():
            return event.receiver_id
        case LotObserved():
            return event.observed_by
        case LotPacked():
            return event.packed_by
        case LotUnpacked():
            return event.unpacked_by
    return ""


def _require_teller(lot: Lot, event_id: str, history: Mapping[str, LotEvent], actor: str) -> None:
    event = history[event_id]
    match event:
        case LotRecalled() | LotRecallReleased() | LotCorrected() | LotServed() | LotHeld(official=True):
            refused = True
        case LotHoldReleased():
            refused = _released_official(event_id, history)
        case LotObserved() | LotArrived():
            refused = _teller(event) != actor
        case _:
            refused = False
    if refused:
        raise PermissionDenied(
            "NOT_TELLER",
            "Who told of the event declares it wrong, or an operator.",
            resource=("lot", lot.lot_id),
        )


def _released_official(event_id: str, history: Mapping[str, LotEvent]) -> bool:
    official = False
    for each, event in history.items():
        if each == event_id:
            break
        if isinstance(event, LotHeld):
            official = event.official
    return official


def _held(lot: Lot, quantity: Quantity) -> Quantity:
    require_no_transfer(lot)
    held = quantity.to(lot.quantity.unit)
    if not lot.committed <= held:
        raise FailedPrecondition(
            "QUANTITY_COMMITTED",
            f"Of the lot {lot.committed} are committed; it cannot hold less.",
            metadata={"committed": lot.committed.text, "unit": held.unit},
            resource=("lot", lot.lot_id),
        )
    return held


def _require_own(lot: Lot, event_id: str, field: str, history: Collection[str]) -> None:
    if event_id not in history:
        raise NotFound(
            "LOT_EVENT_NOT_FOUND",
            f"The lot has no such event {event_id}.",
            violations=[Violation(field, "is no event of the lot that can stand here")],
            resource=("lot", lot.lot_id),
        )
