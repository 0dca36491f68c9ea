"""Listings: a quantity of a lot at a price, and what is left of it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from chassis.errors import FailedPrecondition, InvalidArgument, PermissionDenied, Violation
from chassis.money import Money
from chassis.quantity import Quantity


class State(StrEnum):
    """What may be done with a listing."""

    OPEN = "OPEN"
    SOLD_OUT = "SOLD_OUT"
    CANCELLED = "CANCELLED"
    BLOCKED = "BLOCKED"
    EXPIRED = "EXPIRED"


class Block(StrEnum):
    """Why goods may not be sold now; a recall wins over a hold."""

    NONE = ""
    HELD = "HELD"
    RECALLED = "RECALLED"


@dataclass(frozen=True, slots=True)
class Offer:
    """What a seller wants to list: the price is for one of the quantity's unit."""

    seller_id: str
    lot_id: str
    quantity: Quantity
    unit_price: Money


@dataclass(frozen=True, slots=True)
class Goods:
    """What crops has committed of a lot, in the lot's own unit."""

    lot_code: str
    product_code: str
    quantity: Quantity
    expires_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    """A quantity of a lot for sale, kept in the lot's own unit.

    Args:
        commitment_id: what crops knows the quantity by.
        remaining: what may still be bought.
        taken: what purchases under way have taken and not yet been delivered; what is committed of the lot
            for this listing is `remaining + taken`.
        unit_price: for one `price_unit`.
        expired: its sale has ended because its goods are past their expiry; see `as_of`.
    """

    listing_id: str
    seller_id: str
    lot_id: str
    lot_code: str
    product_code: str
    commitment_id: str
    quantity: Quantity
    remaining: Quantity
    taken: Quantity
    unit_price: Money
    price_unit: str
    expires_at: datetime
    created_at: datetime
    updated_at: datetime
    cancelled: bool = False
    block: Block = Block.NONE
    expired: bool = False

    @property
    def state(self) -> State:
        """The strongest of what holds."""
        if self.cancelled:
            return State.CANCELLED
        if self.expired:
            return State.EXPIRED
        if self.block:
            return State.BLOCKED
        return State.SOLD_OUT if self.remaining.is_zero else State.OPEN

    def as_of(self, now: datetime) -> "Listing":
        """Expired if something is left past the goods' expiry; else itself. Never open again after that.

        Of one that is sold out a purchase may still come to nothing, which leaves something of it.
        """
        if self.cancelled or self.expired or self.remaining.is_zero or now < self.expires_at:
            return self
        return replace(self, expired=True, updated_at=now)

    def price_of(self, quantity: Quantity) -> Money:
        """What a quantity costs: computed exactly, rounded once, half to even, to the minor unit.

        Raises:
            InvalidArgument: AMOUNT_INVALID when that is nothing, or more than an amount may be.
        """
        units = quantity.exact / Quantity.of(1, self.price_unit).exact
        total = round(units * Fraction(self.unit_price.minor))
        if total == 0:
            raise InvalidArgument(
                "AMOUNT_INVALID",
                "so little costs less than the smallest coin; buy more",
                violations=[Violation("quantity", "is too little to have a price")],
            )
        return Money(total, self.unit_price.currency)

    def take(self, quantity: Quantity, now: datetime) -> "Listing":
        """Take a quantity, in the lot's unit, for a purchase.

        Raises:
            FailedPrecondition: LISTING_CANCELLED, LOT_EXPIRED, LISTING_BLOCKED, LISTING_SOLD_OUT or
                QUANTITY_EXCEEDED.
            InvalidArgument: QUANTITY_ZERO.
        """
        if quantity.is_zero:
            raise InvalidArgument(
                "QUANTITY_ZERO",
                "a purchase must be of something",
                violations=[Violation("quantity", f"is nothing, in {quantity.unit}")],
            )
        state = self.as_of(now).state
        if state is State.EXPIRED:
            raise self._refusal("LOT_EXPIRED", "the goods are past their expiry")
        if state is not State.OPEN:
            raise self._refusal(f"LISTING_{state.value}", f"the listing is {_WORDS[state]}")
        if not quantity <= self.remaining:
            raise FailedPrecondition(
                "QUANTITY_EXCEEDED",
                f"{self.remaining} are left",
                metadata={"available": self.remaining.text, "unit": self.remaining.unit},
                resource=("listing", self.listing_id),
            )
        return replace(self, remaining=self.remaining - quantity, taken=self.taken + quantity, updated_at=now)

    def give_back(self, quantity: Quantity, now: datetime) -> "Listing":
        """Put back what a purchase had taken."""
        return replace(self, remaining=self.remaining + quantity, taken=self.taken - quantity, updated_at=now)

    def deliver(self, quantity: Quantity, now: datetime) -> "Listing":
        """Let go of what a purchase had taken: it is the buyer's."""
        return replace(self, taken=self.taken - quantity, updated_at=now)

    def cancel(self, subject: str, now: datetime) -> "Listing":
        """End the sale; itself when that was done before.

        Raises:
            PermissionDenied: NOT_OWNER.
        """
        if self.seller_id != subject:
            raise PermissionDenied(
                "NOT_OWNER", "the listing is someone else's", resource=("listing", self.listing_id)
            )
        return self if self.cancelled else replace(self, cancelled=True, updated_at=now)

    def blocked(self, block: Block, now: datetime) -> "Listing":
        """With another standing of its lot; itself when it has that already."""
        return self if self.block is block else replace(self, block=block, updated_at=now)

    def _refusal(self, reason: str, message: str) -> FailedPrecondition:
        return FailedPrecondition(reason, message, resource=("listing", self.listing_id))


_WORDS = {
    State.SOLD_OUT: "sold out",
    State.CANCELLED: "cancelled",
    State.BLOCKED: "blocked: the lot is recalled or held",
}


def listed(
    offer: Offer, goods: Goods, *, listing_id: str, commitment_id: str, block: Block, now: datetime
) -> Listing:
    """The listing of goods that are committed.

    Args:
        block: what has become of the lot since they were.

    Raises:
        FailedPrecondition: LOT_RECALLED or LOT_HELD.
    """
    if block:
        raise FailedPrecondition(
            f"LOT_{block.value}", f"the lot is {block.value.lower()}", resource=("lot", offer.lot_id)
        )
    return Listing(
        listing_id=listing_id,
        seller_id=offer.seller_id,
        lot_id=offer.lot_id,
        lot_code=goods.lot_code,
        product_code=goods.product_code,
        commitment_id=commitment_id,
        quantity=goods.quantity,
        remaining=goods.quantity,
        taken=Quantity.of(0, goods.quantity.unit),
        unit_price=offer.unit_price,
        price_unit=offer.quantity.unit,
        expires_at=goods.expires_at,
        created_at=now,
        updated_at=now,
    )


def require_something(offer: Offer) -> None:
    """Refuse a listing of nothing.

    Raises:
        InvalidArgument: QUANTITY_ZERO.
    """
    if offer.quantity.is_zero:
        raise InvalidArgument(
            "QUANTITY_ZERO",
            "a listing must be of something",
            violations=[Violation("quantity.amount", "must be above zero")],
        )
