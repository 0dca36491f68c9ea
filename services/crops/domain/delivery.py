"""Delivering: a part of what is committed becomes a lot of someone else's, at once."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from chassis.errors import AlreadyExists, FailedPrecondition, InvalidArgument, NotFound, Violation
from chassis.quantity import Quantity
from services.crops.domain.commitment import require_maker
from services.crops.domain.events import (
    LotDeliveryRefused,
    LotEvent,
    LotQuantityDelivered,
    LotSplit,
    LotTransferred,
    Purpose,
    SplitPart,
)
from services.crops.domain.lot import Commitment, Lot
from services.crops.domain.split import minted_part
from services.crops.domain.transfer import require_not_held, require_not_recalled


@dataclass(frozen=True, slots=True)
class Delivery:
    """What is to be delivered to whom.

    Args:
        lot_code: the new lot's, among those of the seller.
        made_by: subject of the service that delivers, which is the one that made the commitment.
    """

    delivery_id: str
    commitment_id: str
    quantity: Quantity
    new_owner_id: str
    lot_code: str
    made_by: str


def deliver(
    lot: Lot, wanted: Delivery, *, new_lot_id: str, now: datetime
) -> tuple[Sequence[LotEvent], Sequence[LotEvent]] | None:
    """Carve a part out of a commitment; None when this very delivery was made before.

    The goods go along where the owner has them at hand; else whoever has them keeps them for the new owner.
    The expiry is not looked at: whoever promised the goods did that. What comes out of a pool may go back to
    the owner; it is then split off and nothing more.

    Returns:
        What happens to the lot, and the history of the new one.

    Raises:
        NotFound: COMMITMENT_NOT_FOUND.
        PermissionDenied: COMMITMENT_OF_ANOTHER.
        FailedPrecondition: COMMITMENT_RELEASED, LOT_RECALLED, LOT_HELD; QUANTITY_EXCEEDED when less of the
            commitment is left. What is refused so stays refused: record `refused` with it.
        InvalidArgument: QUANTITY_ZERO, UNIT_UNKNOWN, UNIT_MISMATCH or TRANSFER_TO_SELF.
        AlreadyExists: REQUEST_ID_REUSED, the id is that of another delivery.
    """
    quantity = wanted.quantity.to(lot.quantity.unit)
    made = lot.commitments.get(wanted.commitment_id)
    if made is not None:
        require_maker(lot, made, wanted.made_by)
    before = lot.deliveries.get(wanted.delivery_id)
    if before is not None:
        if (before.commitment_id, before.quantity, before.new_owner_id) != (
            wanted.commitment_id,
            quantity,
            wanted.new_owner_id,
        ):
            raise AlreadyExists("REQUEST_ID_REUSED", "The request_id was used for another delivery.")
        return None
    if wanted.delivery_id in lot.refused_deliveries:
        raise FailedPrecondition(
            lot.refused_deliveries[wanted.delivery_id],
            f"Delivery {wanted.delivery_id} was refused.",
            resource=("lot", lot.lot_id),
        )
    commitment = _commitment(lot, wanted.commitment_id)
    require_not_recalled(lot)
    require_not_held(lot)
    _require_deliverable(lot, commitment, quantity, wanted.new_owner_id)
    part = SplitPart(new_lot_id, wanted.lot_code, quantity)
    own = (
        # In this order, so that never more is committed than there is.
        LotQuantityDelivered(
            lot_id=lot.lot_id,
            commitment_id=wanted.commitment_id,
            delivery_id=wanted.delivery_id,
            delivered_lot_id=new_lot_id,
            new_owner_id=wanted.new_owner_id,
            quantity=quantity,
            at=now,
        ),
        LotSplit(lot_id=lot.lot_id, parts=(part,), remaining=lot.quantity - quantity, at=now),
    )
    minted = minted_part(lot, part, now)
    if wanted.new_owner_id == lot.owner_id:
        return own, (minted,)
    return own, (minted, _handed_over(lot, new_lot_id, wanted, now))


def refused(
    lot: Lot, wanted: Delivery, refusal: FailedPrecondition, *, now: datetime
) -> LotDeliveryRefused | None:
    """The tombstone of a delivery that was refused; None when it has one."""
    if wanted.delivery_id in lot.refused_deliveries:
        return None
    return LotDeliveryRefused(
        lot_id=lot.lot_id, delivery_id=wanted.delivery_id, reason=refusal.reason, at=now
    )


def _commitment(lot: Lot, commitment_id: str) -> Commitment:
    resource = ("lot", lot.lot_id)
    if commitment_id not in lot.commitments:
        raise NotFound("COMMITMENT_NOT_FOUND", f"There is no commitment {commitment_id}.", resource=resource)
    made = lot.commitments[commitment_id]
    if made is None:
        raise FailedPrecondition(
            "COMMITMENT_RELEASED", f"Commitment {commitment_id} was taken back.", resource=resource
        )
    if made.purpose is Purpose.RECEIPT:
        raise NotFound(
            "COMMITMENT_NOT_FOUND", f"Commitment {commitment_id} is not for delivery.", resource=resource
        )
    return made


def _require_deliverable(lot: Lot, commitment: Commitment, quantity: Quantity, new_owner_id: str) -> None:
    if new_owner_id == lot.owner_id and commitment.purpose is not Purpose.POOL:
        raise InvalidArgument(
            "TRANSFER_TO_SELF",
            "The lot belongs to that owner already.",
            violations=[Violation("new_owner_id", "is the present owner")],
        )
    if quantity.is_zero:
        violation = Violation("quantity", f"is nothing, in {quantity.unit}")
        raise InvalidArgument("QUANTITY_ZERO", "A delivery must be of something.", violations=[violation])
    if not quantity <= commitment.left:
        raise FailedPrecondition(
            "QUANTITY_EXCEEDED",
            f"Of the commitment {commitment.left} are left.",
            metadata={"available": commitment.left.text, "unit": lot.quantity.unit},
            resource=("lot", lot.lot_id),
        )


def _handed_over(lot: Lot, new_lot_id: str, wanted: Delivery, now: datetime) -> LotTransferred:
    return LotTransferred(
        lot_id=new_lot_id,
        transfer_id=wanted.delivery_id,
        previous_owner_id=lot.owner_id,
        new_owner_id=wanted.new_owner_id,
        reference_document="",
        transfer_number=1,
        custodian_id=wanted.new_owner_id if lot.goes_along else lot.custodian_id,
        at=now,
    )
