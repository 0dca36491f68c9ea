"""Committing: goods that count elsewhere, such as in a venue's stock, do not count here a second time."""

from datetime import datetime
from decimal import Decimal

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, PermissionDenied, Violation
from chassis.quantity import Quantity
from services.crops.domain.events import LotQuantityCommitted, LotQuantityReleased, Purpose
from services.crops.domain.lot import Commitment, Lot
from services.crops.domain.transfer import (
    require_at_hand,
    require_no_transfer,
    require_not_held,
    require_not_recalled,
    require_owner,
)


def commit(
    lot: Lot, wanted: Commitment, *, commitment_id: str, owner_id: str, now: datetime
) -> LotQuantityCommitted | None:
    """Set a quantity aside; None when this very commitment stands already.

    It is kept in the lot's own unit, where adding and subtracting is exact.

    Args:
        owner_id: on whose behalf.

    Raises:
        PermissionDenied: NOT_OWNER.
        FailedPrecondition: COMMITMENT_RELEASED, it was taken back, perhaps before it came; LOT_RECALLED,
            LOT_HELD, TRANSFER_UNDER_WAY, LOT_EXPIRED, QUANTITY_EXCEEDED; for sale LOT_IN_TRANSIT or
            LOT_IN_UNIT.
        InvalidArgument: QUANTITY_ZERO, UNIT_UNKNOWN, UNIT_MISMATCH or QUANTITY_INVALID.
        AlreadyExists: REQUEST_ID_REUSED, the id is that of another commitment.
    """
    quantity = wanted.quantity.to(lot.quantity.unit)
    event = LotQuantityCommitted(
        lot_id=lot.lot_id,
        commitment_id=commitment_id,
        quantity=quantity,
        purpose=wanted.purpose,
        venue_id=wanted.venue_id,
        made_by=wanted.made_by,
        at=now,
    )
    if commitment_id in lot.commitments:
        _require_same(lot, event, owner_id)
        return None
    require_owner(lot, owner_id)
    require_not_recalled(lot)
    require_not_held(lot)
    require_no_transfer(lot)
    require_fresh(lot, now)
    if wanted.purpose is not Purpose.RECEIPT:
        # What is received may well be on its way there; what is sold must be there to be handed over.
        require_at_hand(lot)
    if quantity.is_zero:
        violation = Violation("quantity", f"is nothing, in {quantity.unit}")
        raise InvalidArgument("QUANTITY_ZERO", "A commitment must be of something.", violations=[violation])
    if not quantity <= lot.uncommitted:
        raise FailedPrecondition(
            "QUANTITY_EXCEEDED",
            f"The lot holds {lot.quantity}, of which {lot.committed} are committed already.",
            metadata={"available": lot.uncommitted.text, "unit": lot.quantity.unit},
            resource=("lot", lot.lot_id),
        )
    return event


def release(lot: Lot, *, commitment_id: str, actor: str, now: datetime) -> LotQuantityReleased | None:
    """Take back what is left of a commitment, in any state of the lot; None when that was done before.

    One that has not arrived yet is refused when it does.

    Args:
        actor: subject of whoever takes it back.

    Raises:
        PermissionDenied: COMMITMENT_OF_ANOTHER.
    """
    made = lot.commitments.get(commitment_id)
    if made is None and commitment_id in lot.commitments:
        return None
    if made is not None:
        require_maker(lot, made, actor)
    quantity = made.left if made else Quantity(Decimal(0), lot.quantity.unit)
    return LotQuantityReleased(lot_id=lot.lot_id, commitment_id=commitment_id, quantity=quantity, at=now)


def _require_same(lot: Lot, event: LotQuantityCommitted, owner_id: str) -> None:
    made = lot.commitments[event.commitment_id]
    if made is None:
        raise FailedPrecondition(
            "COMMITMENT_RELEASED",
            f"Commitment {event.commitment_id} was taken back.",
            resource=("lot", lot.lot_id),
        )
    # Of a lot with commitments the owner does not change, so it is the owner that was named then.
    same = Commitment(event.quantity, event.purpose, event.venue_id, event.made_by, made.delivered)
    if made != same or owner_id != lot.owner_id:
        raise AlreadyExists("REQUEST_ID_REUSED", "The request_id was used for another commitment.")


def require_maker(lot: Lot, made: Commitment, actor: str) -> None:
    """Refuse whoever did not make the commitment: what stands behind it is another's to know.

    Raises:
        PermissionDenied: COMMITMENT_OF_ANOTHER.
    """
    if made.made_by != actor:
        raise PermissionDenied(
            "COMMITMENT_OF_ANOTHER",
            "Only the service that made a commitment delivers of it or takes it back.",
            resource=("lot", lot.lot_id),
        )


def require_fresh(lot: Lot, now: datetime) -> None:
    """Refuse a lot past its expiry.

    Raises:
        FailedPrecondition: LOT_EXPIRED.
    """
    if lot.expire_time <= now:
        raise FailedPrecondition(
            "LOT_EXPIRED", f"Lot {lot.lot_id} is past its expiry.", resource=("lot", lot.lot_id)
        )
