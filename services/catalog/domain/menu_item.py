"""What a venue offers, at what price, made of what."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from chassis.errors import InvalidArgument, Violation
from chassis.money import Money
from chassis.quantity import Quantity

CHANGEABLE = frozenset({"name", "description", "price", "ingredients", "available"})


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
    """An item on a venue's menu.

    Args:
        revision: 1 when created, one more with each change; the etag.
        recall_ids: recalls that took it off the menu and are why it is not available.
        put_back_later: whether it was available before them, and the venue has not decided otherwise since.

    Raises:
        InvalidArgument: PRICE_INVALID, QUANTITY_ZERO, or VALIDATION_FAILED without name or ingredients.
    """

    menu_item_id: str
    venue_id: str
    name: str
    description: str
    price: Money
    ingredients: tuple[Ingredient, ...]
    created_at: datetime
    updated_at: datetime
    available: bool = True
    revision: int = 1
    recall_ids: tuple[str, ...] = ()
    put_back_later: bool = False

    def __post_init__(self) -> None:
        if self.price.minor <= 0:
            raise _invalid("PRICE_INVALID", "price", "must be more than nothing")
        if not self.name:
            raise _invalid("VALIDATION_FAILED", "name", "must not be empty")
        if not self.ingredients:
            raise _invalid("VALIDATION_FAILED", "ingredients", "must name at least one ingredient")
        for index, ingredient in enumerate(self.ingredients):
            if ingredient.quantity.is_zero:
                raise _invalid("QUANTITY_ZERO", f"ingredients[{index}].quantity", "must be more than nothing")

    def changed(self, changes: dict[str, Any], at: datetime) -> "MenuItem":
        """The item with new values of some of `CHANGEABLE`; unchanged when they are the old ones.

        Who sets `available` decides it, whatever a recall had done.

        Raises:
            InvalidArgument: as the constructor.
        """
        candidate = replace(self, **changes)
        if "available" in changes:
            recalls = () if candidate.available else self.recall_ids
            candidate = replace(candidate, recall_ids=recalls, put_back_later=False)
        return self._next(candidate, at)

    def taken_off(self, recall_id: str, at: datetime) -> "MenuItem":
        """The item while a recall keeps it off the menu."""
        return self._next(
            replace(
                self,
                available=False,
                recall_ids=tuple(sorted({*self.recall_ids, recall_id})),
                put_back_later=self.put_back_later or self.available,
            ),
            at,
        )

    def put_back(self, at: datetime) -> "MenuItem":
        """The item when no recall keeps it off any more: as the venue wants it."""
        back = replace(self, available=self.put_back_later, recall_ids=(), put_back_later=False)
        return self._next(back, at)

    def _next(self, candidate: "MenuItem", at: datetime) -> "MenuItem":
        if candidate == self:
            return self
        return replace(candidate, updated_at=at, revision=self.revision + 1)


@dataclass(frozen=True, slots=True)
class PriceChange:
    """A price, since when it held, and the item's revision that brought it."""

    price: Money
    since: datetime
    revision: int


def _invalid(reason: str, field: str, description: str) -> InvalidArgument:
    return InvalidArgument(reason, f"{field} {description}", violations=(Violation(field, description),))
