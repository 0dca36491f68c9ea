"""Declaring an earlier event wrong: nothing is deleted, and the lot holds what is right."""

from collections.abc import Collection, Sequence
from datetime import datetime

from chassis.errors import Aborted, FailedPrecondition, NotFound, Violation
from chassis.quantity import Quantity
from services.crops.domain.events import LotCorrected
from services.crops.domain.hold import require_owner_or_operator
from services.crops.domain.lot import Lot
from services.crops.domain.transfer import require_no_transfer


def correct(
    lot: Lot,
    *,
    history: Collection[str],
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
        history: ids of all events of the lot.
        quantity: what the lot holds by it; None when that did not change.
        etag: the lot's version that was counted; without a quantity empty for whichever there is.

    Raises:
        PermissionDenied: NOT_OWNER unless the owner or an operator asks.
        NotFound: LOT_EVENT_NOT_FOUND, of the event or a corrective one.
        FailedPrecondition: EVENT_CORRECTED before; for a quantity QUANTITY_COMMITTED, more is than it would
            hold, TRANSFER_UNDER_WAY or OFFER_OPEN.
        Aborted: ETAG_MISMATCH.
        InvalidArgument: UNIT_UNKNOWN or UNIT_MISMATCH.
    """
    require_owner_or_operator(lot, actor, is_operator)
    _require_own(lot, event_id, "event_id", history)
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
