"""Holding a lot back, destroying goods, and ending a recall."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from chassis.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Violation
from chassis.quantity import Quantity
from services.crops.domain.events import LotDestroyed, LotHeld, LotHoldReleased, LotRecallReleased
from services.crops.domain.lot import Lot, LotState
from services.crops.domain.transfer import require_no_transfer, require_not_recalled


def hold(lot: Lot, *, actor: str, is_operator: bool, reason: str, now: datetime) -> LotHeld:
    """Keep a lot from being sold, moved on or made into something, until the hold is released.

    It ends a transfer under way and an open offer, as a recall does.

    Raises:
        PermissionDenied: NOT_OWNER unless the owner or an operator asks.
        FailedPrecondition: LOT_HELD already, LOT_RECALLED, LOT_EMPTY or LOT_DESTROYED.
    """
    require_owner_or_operator(lot, actor, is_operator)
    require_not_recalled(lot)
    require_something(lot)
    if lot.hold is not None:
        raise FailedPrecondition(
            "LOT_HELD", f"Lot {lot.lot_id} is held already: {lot.hold.reason}", resource=("lot", lot.lot_id)
        )
    return LotHeld(
        lot_id=lot.lot_id,
        reason=reason,
        held_by=actor,
        # What an operator holds back, the owner cannot set free.
        official=is_operator and actor != lot.owner_id,
        at=now,
    )


def release_hold(lot: Lot, *, actor: str, is_operator: bool, reason: str, now: datetime) -> LotHoldReleased:
    """Set a held lot free, in any other state it may be in.

    Raises:
        PermissionDenied: NOT_OWNER unless the owner or an operator asks; HOLD_OFFICIAL when an operator
            placed the hold and the owner asks.
        FailedPrecondition: LOT_NOT_HELD.
    """
    require_owner_or_operator(lot, actor, is_operator)
    if lot.hold is None:
        raise FailedPrecondition(
            "LOT_NOT_HELD", f"Lot {lot.lot_id} is not held.", resource=("lot", lot.lot_id)
        )
    if lot.hold.official and not is_operator:
        raise PermissionDenied(
            "HOLD_OFFICIAL", "An operator placed the hold and releases it.", resource=("lot", lot.lot_id)
        )
    return LotHoldReleased(lot_id=lot.lot_id, reason=reason, at=now)


def destroy(
    lot: Lot, quantity: Quantity | None, *, actor: str, is_operator: bool, reason: str, now: datetime
) -> LotDestroyed:
    """Take goods out for good, also of a held or recalled lot; what is committed is not here to be destroyed.

    Args:
        quantity: how much; None is all that is not committed.

    Raises:
        PermissionDenied: NOT_OWNER unless the owner or an operator asks.
        FailedPrecondition: LOT_EMPTY, LOT_DESTROYED, TRANSFER_UNDER_WAY, OFFER_OPEN or
            QUANTITY_EXCEEDED.
        InvalidArgument: QUANTITY_ZERO, UNIT_UNKNOWN or UNIT_MISMATCH.
    """
    require_owner_or_operator(lot, actor, is_operator)
    require_something(lot)
    require_no_transfer(lot)
    taken = lot.uncommitted if quantity is None else quantity.to(lot.quantity.unit)
    require_free(lot, taken, "Something must be destroyed.")
    return LotDestroyed(
        lot_id=lot.lot_id, quantity=taken, remaining=lot.quantity - taken, reason=reason, at=now
    )


def release_recall(
    root: Lot, descendants: Sequence[Lot], outside: Mapping[str, Lot], *, reason: str, now: datetime
) -> list[tuple[Lot, LotRecallReleased]]:
    """End the recall of a lot, and of those that it reached.

    What was recalled on its own stays so, as does what came of any lot that still is recalled.

    Args:
        descendants: every lot that came of the root, in any order.
        outside: the descendants' other parents, which the release cannot reach.

    Raises:
        FailedPrecondition: LOT_NOT_RECALLED; ANCESTOR_RECALLED when a lot that it came from is.
    """
    if not root.recalled:
        raise FailedPrecondition(
            "LOT_NOT_RECALLED", f"Lot {root.lot_id} is not recalled.", resource=("lot", root.lot_id)
        )
    family = {lot.lot_id: lot for lot in descendants}
    known = {**outside, **family}
    if any(known[parent].recalled for parent in root.parent_lot_ids):
        raise FailedPrecondition(
            "ANCESTOR_RECALLED",
            "A lot that it came from is recalled; release that one.",
            resource=("lot", root.lot_id),
        )
    stays: dict[str, bool] = {root.lot_id: False}
    # Ids are given in the order of minting, so that parents are decided before their children.
    for lot in sorted(descendants, key=lambda lot: (lot.create_time, lot.lot_id)):
        held_back = any(
            stays[parent] if parent in stays else known[parent].recalled for parent in lot.parent_lot_ids
        )
        stays[lot.lot_id] = lot.recalled and (held_back or lot.recall_root_id == lot.lot_id)
    freed = [root, *(lot for lot in descendants if lot.recalled and not stays[lot.lot_id])]
    return [
        (
            lot,
            LotRecallReleased(
                lot_id=lot.lot_id, root_lot_id=root.lot_id, reason=reason, recall_id=lot.recall_id, at=now
            ),
        )
        for lot in freed
    ]


def require_something(lot: Lot) -> None:
    """Refuse a lot of which nothing is left.

    Raises:
        FailedPrecondition: LOT_DESTROYED or LOT_EMPTY.
    """
    if not lot.quantity.is_zero:
        return
    reason = "LOT_DESTROYED" if lot.state is LotState.DESTROYED else "LOT_EMPTY"
    raise FailedPrecondition(reason, f"Nothing is left of lot {lot.lot_id}.", resource=("lot", lot.lot_id))


def require_free(lot: Lot, taken: Quantity, nothing: str) -> None:
    """Refuse to take out nothing, or more than is not committed.

    Args:
        taken: in the lot's unit.
        nothing: what to say when nothing is taken.

    Raises:
        InvalidArgument: QUANTITY_ZERO.
        FailedPrecondition: QUANTITY_EXCEEDED.
    """
    if taken.is_zero:
        violation = Violation("quantity", f"is nothing, in {taken.unit}")
        raise InvalidArgument("QUANTITY_ZERO", nothing, violations=[violation])
    free = lot.uncommitted
    if not taken <= free:
        raise FailedPrecondition(
            "QUANTITY_EXCEEDED",
            f"More than is free of the lot, {free}.",
            metadata={"available": free.text, "unit": free.unit},
            resource=("lot", lot.lot_id),
        )


def require_owner_or_operator(lot: Lot, actor: str, is_operator: bool) -> None:
    """Refuse anyone else.

    Raises:
        PermissionDenied: NOT_OWNER.
    """
    if not is_operator and actor != lot.owner_id:
        raise PermissionDenied(
            "NOT_OWNER", f"Lot {lot.lot_id} belongs to someone else.", resource=("lot", lot.lot_id)
        )
