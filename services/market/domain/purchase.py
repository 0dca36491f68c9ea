"""Purchases: a quantity of a listing, its price, and what becomes of both."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from chassis.errors import FailedPrecondition
from chassis.money import Money
from chassis.quantity import Quantity
from services.market.domain.listing import Listing

CODE_LIMIT = 80
"""Characters of a lot code."""


class State(StrEnum):
    """Where a purchase stands; the last two are final."""

    PENDING = "PENDING"
    PAID = "PAID"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"

    @property
    def final(self) -> bool:
        return self in (State.COMPLETED, State.FAILED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """What somebody buys of a listing; the quantity is in the lot's own unit."""

    purchase_id: str
    listing_id: str
    lot_id: str
    product_code: str
    seller_id: str
    buyer_id: str
    request_id: str
    request_hash: str
    quantity: Quantity
    unit_price: Money
    price_unit: str
    total: Money
    created_at: datetime
    updated_at: datetime
    state: State = State.PENDING
    delivered_lot_id: str = ""
    delivered_lot_code: str = ""
    failure_reason: str = ""

    def paid(self, now: datetime) -> "Purchase":
        """Paid; itself when it was before."""
        return replace(self, state=State.PAID, updated_at=now) if self.state is State.PENDING else self

    def completed(self, lot_id: str, lot_code: str, now: datetime) -> "Purchase":
        """Delivered; itself when it was before."""
        if self.state.final:
            return self
        return replace(
            self,
            state=State.COMPLETED,
            delivered_lot_id=lot_id,
            delivered_lot_code=lot_code,
            updated_at=now,
        )

    def failed(self, reason: str, now: datetime) -> "Purchase":
        """Come to nothing; itself when it had ended before."""
        if self.state.final:
            return self
        return replace(self, state=State.FAILED, failure_reason=reason, updated_at=now)


def purchase(
    listing: Listing,
    quantity: Quantity,
    *,
    purchase_id: str,
    buyer_id: str,
    request_id: str,
    request_hash: str,
    now: datetime,
) -> tuple[Listing, Purchase]:
    """Decide to buy: the listing without what is taken, and the purchase.

    Raises:
        FailedPrecondition: BUYER_IS_SELLER; as `Listing.take`.
        InvalidArgument: QUANTITY_ZERO, UNIT_MISMATCH, UNIT_UNKNOWN, AMOUNT_INVALID.
    """
    if buyer_id == listing.seller_id:
        raise FailedPrecondition(
            "BUYER_IS_SELLER", "the goods are yours already", resource=("listing", listing.listing_id)
        )
    quantity = quantity.to(listing.remaining.unit)
    taken = listing.take(quantity, now)
    return taken, Purchase(
        purchase_id=purchase_id,
        listing_id=listing.listing_id,
        lot_id=listing.lot_id,
        product_code=listing.product_code,
        seller_id=listing.seller_id,
        buyer_id=buyer_id,
        request_id=request_id,
        request_hash=request_hash,
        quantity=quantity,
        unit_price=listing.unit_price,
        price_unit=listing.price_unit,
        total=listing.price_of(quantity),
        created_at=now,
        updated_at=now,
    )


def delivered_code(lot_code: str, purchase_id: str) -> str:
    """The code of the lot that a purchase delivers: the sold lot's with a suffix of the purchase's own."""
    suffix = "-" + purchase_id.replace("-", "")[-12:]
    return lot_code[: CODE_LIMIT - len(suffix)] + suffix
