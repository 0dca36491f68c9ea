"""An order and what may become of it."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from chassis.errors import FailedPrecondition
from chassis.money import Money
from chassis.quantity import Quantity

MOST_NEEDS = 500  # lines of one reservation, by inventory's contract


class State(StrEnum):
    """PENDING -> CONFIRMED -> PAID -> FULFILLED; FAILED from any of them but the last."""

    PENDING = "PENDING"
    CONFIRMED = "CONFIRMED"
    PAID = "PAID"
    FULFILLED = "FULFILLED"
    FAILED = "FAILED"

    @property
    def final(self) -> bool:
        return self in (State.FULFILLED, State.FAILED)


_NEXT = {
    State.PENDING: {State.CONFIRMED, State.FAILED},
    State.CONFIRMED: {State.PAID, State.FAILED},
    State.PAID: {State.FULFILLED, State.FAILED},
    State.FULFILLED: set[State](),
    State.FAILED: set[State](),
}


@dataclass(frozen=True, slots=True)
class Ingredient:
    """What one portion uses: any lot of a product, or one lot only.

    Args:
        product_code: empty when `lot_id` is given.
        lot_id: empty when `product_code` is given.
    """

    quantity: Quantity
    product_code: str = ""
    lot_id: str = ""


@dataclass(frozen=True, slots=True)
class MenuItem:
    """What the catalog says of an item."""

    menu_item_id: str
    venue_id: str
    name: str
    price: Money
    available: bool
    ingredients: tuple[Ingredient, ...]


@dataclass(frozen=True, slots=True)
class Line:
    """So many of one item at the price of the moment of ordering."""

    menu_item_id: str
    name: str
    quantity: int
    unit_price: Money


@dataclass(frozen=True, slots=True)
class Need:
    """Stock that a line takes."""

    menu_item_id: str
    quantity: Quantity
    product_code: str = ""
    lot_id: str = ""


@dataclass(frozen=True, slots=True)
class Order:
    """A guest's order at one venue.

    Args:
        revision: 1 when placed, one more with each change of state.
        request_hash: what the checkout asked for, so that another request under the same id is seen.
        recall_ids: recalls that reached its goods, in the order in which they were seen to.
        refunded: what the guest has back because of them; None when nothing.
    """

    order_id: str
    guest_id: str
    venue_id: str
    lines: tuple[Line, ...]
    total: Money
    state: State
    created_at: datetime
    updated_at: datetime
    request_id: str
    request_hash: str
    revision: int = 1
    failure_reason: str = ""
    recall_ids: tuple[str, ...] = ()
    refunded: Money | None = None

    def recalled(self, recall_id: str, refunded: Money, at: datetime) -> "Order":
        """The order after what a recall made necessary; its state stands. A recall counts once.

        Args:
            refunded: what the guest has back in all, as far as this recall knows; may be nothing.
        """
        if recall_id in self.recall_ids:
            return self
        # Recalls of one order end in any order, and none takes back what another has given.
        more = bool(refunded.minor) and (self.refunded is None or self.refunded <= refunded)
        return replace(
            self,
            recall_ids=(*self.recall_ids, recall_id),
            refunded=refunded if more else self.refunded,
            updated_at=at,
        )

    def to(self, state: State, at: datetime, failure_reason: str = "") -> "Order":
        """The order in its next state; in the same state it is left as it is.

        Raises:
            FailedPrecondition: CHECKOUT_FAILED, the state cannot follow.
        """
        if state is self.state:
            return self
        if state not in _NEXT[self.state]:
            raise FailedPrecondition("CHECKOUT_FAILED", f"an order cannot go from {self.state} to {state}")
        return replace(
            self, revision=self.revision + 1, state=state, updated_at=at, failure_reason=failure_reason
        )


@dataclass(frozen=True, slots=True)
class Draft:
    """What is to be ordered, priced and checked."""

    venue_id: str
    lines: tuple[Line, ...]
    needs: tuple[Need, ...]
    total: Money


def draft(wanted: Iterable[tuple[MenuItem, int]]) -> Draft:
    """Price what a guest wants.

    Args:
        wanted: items with how many of each; not empty.

    Raises:
        FailedPrecondition: CART_EMPTY, CART_OTHER_VENUE, CART_FULL, MENU_ITEM_UNAVAILABLE, CURRENCY_MIXED.
    """
    chosen = list(wanted)
    if not chosen:
        raise FailedPrecondition("CART_EMPTY", "there is nothing to order")
    if len({item.venue_id for item, _ in chosen}) > 1:
        raise FailedPrecondition("CART_OTHER_VENUE", "an order holds items of one venue")
    if len({item.price.currency for item, _ in chosen}) > 1:
        raise FailedPrecondition("CURRENCY_MIXED", "the items are priced in several currencies")
    for item, _ in chosen:
        if not item.available:
            raise FailedPrecondition(
                "MENU_ITEM_UNAVAILABLE",
                f"{item.name} is not available now",
                metadata={"menu_item_id": item.menu_item_id},
            )
    needs = sum(len(item.ingredients) for item, _ in chosen)
    if needs > MOST_NEEDS:
        raise FailedPrecondition("CART_FULL", f"the items use {needs} ingredients; an order has {MOST_NEEDS}")
    total = Money(0, chosen[0][0].price.currency)
    for item, count in chosen:
        total += item.price.times(count)
    return Draft(
        venue_id=chosen[0][0].venue_id,
        lines=tuple(Line(item.menu_item_id, item.name, count, item.price) for item, count in chosen),
        needs=tuple(
            Need(item.menu_item_id, used.quantity.times(count), used.product_code, used.lot_id)
            for item, count in chosen
            for used in item.ingredients
        ),
        total=total,
    )
