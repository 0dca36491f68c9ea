"""Rules for taking a lot into stock."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal

from chassis.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Violation
from chassis.quantity import Quantity
from services.inventory.domain.stock import Block, StockItem


@dataclass(frozen=True, slots=True)
class Receipt:
    """What somebody wants to take into stock, in whatever unit; `owner_id` must own lot and venue."""

    owner_id: str
    venue_id: str
    lot_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True)
class Goods:
    """What crops has committed of a lot, in the lot's own unit."""

    product_code: str
    quantity: Quantity
    expires_at: datetime


def ensure_receivable(receipt: Receipt, venue_owner: str) -> None:
    """Refuse what needs no look at the lot.

    Raises:
        PermissionDenied: NOT_OWNER.
        InvalidArgument: QUANTITY_ZERO.
    """
    if receipt.owner_id != venue_owner:
        raise PermissionDenied(
            "NOT_OWNER", "the venue belongs to someone else", resource=("venue", receipt.venue_id)
        )
    if receipt.quantity.is_zero:
        raise InvalidArgument(
            "QUANTITY_ZERO",
            "quantity must be more than nothing",
            violations=[Violation("quantity.amount", "must be above zero")],
        )


def received(
    receipt: Receipt, goods: Goods, *, stock_item_id: str, block: Block | None, at: datetime
) -> StockItem:
    """The stock that a receipt brings in; kept in the lot's own unit, so that it is what was committed.

    Args:
        block: what has come upon the lot since the goods were committed; what is held back is stored so.

    Raises:
        FailedPrecondition: LOT_RECALLED.
    """
    if block is Block.RECALL:
        raise FailedPrecondition("LOT_RECALLED", "the lot was recalled", resource=("lot", receipt.lot_id))
    return StockItem(
        stock_item_id=stock_item_id,
        venue_id=receipt.venue_id,
        lot_id=receipt.lot_id,
        product_code=goods.product_code,
        on_hand=goods.quantity,
        reserved=Quantity(Decimal(0), goods.quantity.unit),
        expires_at=goods.expires_at,
        received_at=at,
        held=block is Block.HOLD,
    )
