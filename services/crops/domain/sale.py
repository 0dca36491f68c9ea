"""Selling at retail: goods leave for somebody who is not in GreenLedger, and their story ends there."""

from datetime import datetime

from chassis.quantity import Quantity
from services.crops.domain.commitment import require_fresh
from services.crops.domain.events import LotSold
from services.crops.domain.hold import require_free
from services.crops.domain.lot import Lot
from services.crops.domain.shipment import require_custodian
from services.crops.domain.transfer import require_at_hand, require_owner, require_tradable


def sell(lot: Lot, quantity: Quantity, *, actor: str, reference_document: str, now: datetime) -> LotSold:
    """Take out what was sold over the counter, of what is not committed.

    It is kept in the lot's own unit, where subtracting is exact.

    Args:
        reference_document: number of the receipt; may be empty.

    Raises:
        PermissionDenied: NOT_OWNER; NOT_CUSTODIAN, the owner does not have the goods.
        FailedPrecondition: LOT_RECALLED, LOT_EMPTY, LOT_DESTROYED, LOT_HELD, TRANSFER_UNDER_WAY, OFFER_OPEN,
            LOT_EXPIRED, LOT_IN_TRANSIT, LOT_IN_UNIT or QUANTITY_EXCEEDED.
        InvalidArgument: QUANTITY_ZERO, UNIT_UNKNOWN, UNIT_MISMATCH or QUANTITY_INVALID.
    """
    require_owner(lot, actor)
    require_custodian(lot, actor)
    require_tradable(lot)
    require_fresh(lot, now)
    require_at_hand(lot)
    sold = quantity.to(lot.quantity.unit)
    require_free(lot, sold, "Something must be sold.")
    return LotSold(
        lot_id=lot.lot_id,
        quantity=sold,
        remaining=lot.quantity - sold,
        sold_by=actor,
        reference_document=reference_document,
        at=now,
    )
