"""Stock of a lot at a venue, and how it is handed out: first expired, first out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

from chassis.errors import FailedPrecondition
from chassis.quantity import Quantity


class Block(StrEnum):
    """Why stock must not be used; the value is what a refusal says."""

    RECALL = "LOT_QUARANTINED"
    HOLD = "LOT_HELD"


@dataclass(frozen=True, slots=True)
class StockItem:
    """What one receipt brought in.

    Args:
        on_hand: what is there, reserved or not.
        reserved: what is promised to orders; of the same unit, at most `on_hand`.
        quarantined: its lot is recalled.
        held: its lot is held back.
    """

    stock_item_id: str
    venue_id: str
    lot_id: str
    product_code: str
    on_hand: Quantity
    reserved: Quantity
    expires_at: datetime
    received_at: datetime
    quarantined: bool = False
    held: bool = False

    @property
    def block(self) -> Block | None:
        """Why it must not be used; a recall is the stronger reason."""
        if self.quarantined:
            return Block.RECALL
        return Block.HOLD if self.held else None

    def available(self, at: datetime) -> Quantity:
        """What may be promised: nothing in quarantine, held back or past expiry."""
        if self.block or self.expires_at <= at:
            return Quantity(Decimal(0), self.on_hand.unit)
        return self.on_hand - self.reserved


@dataclass(frozen=True, slots=True)
class Need:
    """What an order needs of one product, or of one lot only, for one of its menu items."""

    menu_item_id: str
    quantity: Quantity
    product_code: str = ""
    lot_id: str = ""

    def served_by(self, item: StockItem) -> bool:
        """Whether the stock is of the right kind."""
        return item.lot_id == self.lot_id if self.lot_id else item.product_code == self.product_code


@dataclass(frozen=True, slots=True)
class Allocation:
    """Stock that serves a menu item of an order."""

    menu_item_id: str
    stock_item_id: str
    lot_id: str
    quantity: Quantity


def allocate(needs: Sequence[Need], stock: Sequence[StockItem], at: datetime) -> tuple[Allocation, ...]:
    """Choose stock for every need: first what expires first, of equals what came first.

    Args:
        needs: none of them zero.
        stock: of one venue; kinds that no need asks for are left alone.
        at: now; expired stock is not used.

    Returns:
        Allocations in the unit of the stock that they take from.

    Raises:
        FailedPrecondition: OUT_OF_STOCK; nothing is allocated then.
        InvalidArgument: UNIT_MISMATCH.
    """
    left = {item.stock_item_id: item.available(at) for item in stock}
    order = sorted(stock, key=lambda item: (item.expires_at, item.received_at, item.stock_item_id))
    allocations: list[Allocation] = []
    for need in needs:
        missing = need.quantity
        for item in _of_use(need, order):
            if missing.is_zero:
                break
            if left[item.stock_item_id].is_zero:
                continue
            wanted = missing.to(item.on_hand.unit)
            taken = wanted if wanted <= left[item.stock_item_id] else left[item.stock_item_id]
            if taken.is_zero:
                continue
            left[item.stock_item_id] -= taken
            # When a smaller unit was rounded up, taking all that was wanted leaves nothing missing.
            missing = replace(missing, amount=Decimal(0)) if taken == wanted else missing - taken
            allocations.append(Allocation(need.menu_item_id, item.stock_item_id, item.lot_id, taken))
        if not missing.is_zero:
            raise _out_of_stock(need, missing)
    return tuple(allocations)


def _of_use(need: Need, order: Sequence[StockItem]) -> Sequence[StockItem]:
    """Stock of the right kind that is counted in what the need is counted in.

    Raises:
        InvalidArgument: UNIT_MISMATCH, all there is of the kind is counted in something else.
    """
    right = [item for item in order if need.served_by(item)]
    usable = [item for item in right if need.quantity.comparable(item.on_hand.unit)]
    if right and not usable:
        need.quantity.to(right[0].on_hand.unit)
    return usable


def _out_of_stock(need: Need, missing: Quantity) -> FailedPrecondition:
    kind = {"lot_id": need.lot_id} if need.lot_id else {"product_code": need.product_code}
    return FailedPrecondition(
        "OUT_OF_STOCK",
        f"the venue has {missing} too little of {need.lot_id or need.product_code}",
        metadata={**kind, "needed": str(need.quantity), "missing": str(missing)},
    )
