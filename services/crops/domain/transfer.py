"""Handing a lot over: begin, then complete or cancel. In between the lot is spoken for."""

from datetime import datetime

from chassis.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Violation
from services.crops.domain.events import LotTransferBegun, LotTransferCancelled, LotTransferred
from services.crops.domain.lot import Lot, LotState


def require_owner(lot: Lot, subject: str) -> None:
    """Refuse anyone but the present owner.

    Raises:
        PermissionDenied: NOT_OWNER.
    """
    if lot.owner_id != subject:
        raise PermissionDenied(
            "NOT_OWNER", f"Lot {lot.lot_id} belongs to someone else.", resource=("lot", lot.lot_id)
        )


def require_tradable(lot: Lot) -> None:
    """Refuse a lot of which nothing may be given away now.

    Raises:
        FailedPrecondition: LOT_RECALLED, LOT_EMPTY, LOT_DESTROYED, LOT_HELD or TRANSFER_UNDER_WAY.
    """
    require_not_recalled(lot)
    if lot.state in (LotState.EMPTY, LotState.DESTROYED):
        raise FailedPrecondition(
            f"LOT_{lot.state.value}", f"Nothing is left of lot {lot.lot_id}.", resource=("lot", lot.lot_id)
        )
    require_not_held(lot)
    require_no_transfer(lot)


def require_not_recalled(lot: Lot) -> None:
    """Refuse a lot that must not be used.

    Raises:
        FailedPrecondition: LOT_RECALLED.
    """
    if lot.state is LotState.RECALLED:
        raise FailedPrecondition(
            "LOT_RECALLED", f"Lot {lot.lot_id} is recalled.", resource=("lot", lot.lot_id)
        )


def require_not_held(lot: Lot) -> None:
    """Refuse a lot that is held back.

    Raises:
        FailedPrecondition: LOT_HELD.
    """
    if lot.hold is not None:
        raise FailedPrecondition(
            "LOT_HELD", f"Lot {lot.lot_id} is held: {lot.hold.reason}", resource=("lot", lot.lot_id)
        )


def require_no_transfer(lot: Lot) -> None:
    """Refuse a lot that is spoken for.

    Raises:
        FailedPrecondition: TRANSFER_UNDER_WAY or OFFER_OPEN.
    """
    if lot.offer is not None:
        raise FailedPrecondition(
            "OFFER_OPEN",
            f"Lot {lot.lot_id} is offered to someone; withdraw the offer first.",
            metadata={"offer_id": lot.offer.offer_id},
            resource=("lot", lot.lot_id),
        )
    if lot.pending is not None:
        raise FailedPrecondition(
            "TRANSFER_UNDER_WAY", f"Lot {lot.lot_id} is being transferred.", resource=("lot", lot.lot_id)
        )


def require_not_in_transit(lot: Lot) -> None:
    """Refuse a lot that is under way to someone.

    Raises:
        FailedPrecondition: LOT_IN_TRANSIT.
    """
    if lot.shipment is not None:
        raise FailedPrecondition(
            "LOT_IN_TRANSIT",
            f"Lot {lot.lot_id} is under way.",
            metadata={"shipment_id": lot.shipment.shipment_id},
            resource=("lot", lot.lot_id),
        )


def require_at_hand(lot: Lot) -> None:
    """Refuse a lot that cannot be got at now.

    Raises:
        FailedPrecondition: LOT_IN_TRANSIT or LOT_IN_UNIT.
    """
    require_not_in_transit(lot)
    require_not_in_unit(lot)


def require_not_in_unit(lot: Lot) -> None:
    """Refuse a lot that moves with a logistic unit.

    Raises:
        FailedPrecondition: LOT_IN_UNIT.
    """
    if lot.unit_id:
        raise FailedPrecondition(
            "LOT_IN_UNIT",
            f"Lot {lot.lot_id} is on logistic unit {lot.unit_id}.",
            metadata={"unit_id": lot.unit_id},
            resource=("lot", lot.lot_id),
        )


def begin_transfer(
    lot: Lot, *, transfer_id: str, actor: str, new_owner_id: str, reference_document: str, now: datetime
) -> LotTransferBegun:
    """Decide to hand a lot over.

    Raises:
        PermissionDenied: NOT_OWNER.
        InvalidArgument: TRANSFER_TO_SELF.
        FailedPrecondition: LOT_RECALLED, LOT_EMPTY, TRANSFER_UNDER_WAY or QUANTITY_COMMITTED.
    """
    require_owner(lot, actor)
    if new_owner_id == lot.owner_id:
        raise InvalidArgument(
            "TRANSFER_TO_SELF",
            "The lot belongs to that owner already.",
            violations=[Violation("new_owner_id", "is the present owner")],
        )
    require_tradable(lot)
    require_uncommitted(lot)
    return LotTransferBegun(
        lot_id=lot.lot_id,
        transfer_id=transfer_id,
        new_owner_id=new_owner_id,
        reference_document=reference_document,
        at=now,
    )


def require_uncommitted(lot: Lot) -> None:
    """A lot has one owner, so goods that are in its owner's stock cannot go along with the rest.

    Raises:
        FailedPrecondition: QUANTITY_COMMITTED.
    """
    if lot.committed.is_zero:
        return
    raise FailedPrecondition(
        "QUANTITY_COMMITTED",
        f"{lot.committed} of the lot are committed; split the rest off and transfer that.",
        metadata={
            "committed": lot.committed.text,
            "available": lot.uncommitted.text,
            "unit": lot.quantity.unit,
        },
        resource=("lot", lot.lot_id),
    )


def complete_transfer(lot: Lot, *, transfer_id: str, now: datetime) -> LotTransferred:
    """Make the new owner the owner.

    Raises:
        FailedPrecondition: LOT_RECALLED or LOT_HELD since the transfer began; TRANSFER_FAILED when it is not
            under way.
    """
    if lot.state is LotState.RECALLED:
        raise FailedPrecondition("LOT_RECALLED", f"Lot {lot.lot_id} was recalled meanwhile.")
    require_not_held(lot)
    if lot.pending is None or lot.pending.transfer_id != transfer_id:
        raise FailedPrecondition("TRANSFER_FAILED", f"Transfer {transfer_id} is not under way.")
    goes_along = lot.pending.custody and lot.goes_along
    return LotTransferred(
        lot_id=lot.lot_id,
        transfer_id=transfer_id,
        previous_owner_id=lot.owner_id,
        new_owner_id=lot.pending.new_owner_id,
        reference_document=lot.pending.reference_document,
        transfer_number=lot.transfer_count + 1,
        custodian_id=lot.pending.new_owner_id if goes_along else lot.custodian_id,
        at=now,
    )


def cancel_transfer(lot: Lot, *, transfer_id: str, now: datetime) -> LotTransferCancelled | None:
    """Free a lot again; None when the transfer is not under way, be it that a recall ended it."""
    if lot.pending is None or lot.pending.transfer_id != transfer_id:
        return None
    return LotTransferCancelled(lot_id=lot.lot_id, transfer_id=transfer_id, at=now)
