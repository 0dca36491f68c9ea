"""Rules for taking a lot into stock."""

from dataclasses import dataclass
from datetime import datetime

from chassis.errors import FailedPrecondition, InvalidArgument, PermissionDenied
from chassis.quantity import Quantity


@dataclass(frozen=True, slots=True)
class Lot:
    """What crops says of a lot."""

    lot_id: str
    owner_id: str
    product_code: str
    quantity: Quantity
    expires_at: datetime
    recalled: bool


def ensure_receivable(
    lot: Lot, quantity: Quantity, received_before: Quantity, *, actor: str, venue_owner: str, at: datetime
) -> None:
    """Refuse a receipt that cannot be.

    Args:
        quantity: to be received now; in the lot's unit, as all of these.
        received_before: of this lot, at all venues.
        actor: who receives; must own lot and venue.

    Raises:
        PermissionDenied: NOT_OWNER.
        FailedPrecondition: LOT_RECALLED, LOT_EXPIRED, QUANTITY_EXCEEDED.
        InvalidArgument: QUANTITY_ZERO, UNIT_MISMATCH.
    """
    if actor != venue_owner:
        raise PermissionDenied("NOT_OWNER", "the venue belongs to someone else")
    if actor != lot.owner_id:
        raise PermissionDenied("NOT_OWNER", "the lot belongs to someone else", resource=("lot", lot.lot_id))
    if lot.recalled:
        raise FailedPrecondition("LOT_RECALLED", "the lot was recalled")
    if lot.expires_at <= at:
        raise FailedPrecondition("LOT_EXPIRED", "the lot is past its expiry")
    if quantity.is_zero:
        raise InvalidArgument("QUANTITY_ZERO", "quantity must be more than nothing")
    total = received_before + quantity
    if not total <= lot.quantity:
        raise FailedPrecondition(
            "QUANTITY_EXCEEDED",
            f"the lot holds {lot.quantity}, of which {received_before} are in stock already",
            metadata={"lot_quantity": str(lot.quantity), "received": str(received_before)},
        )
