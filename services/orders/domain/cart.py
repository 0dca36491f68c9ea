"""What a guest means to order."""

from dataclasses import dataclass, replace
from datetime import datetime

from chassis.errors import FailedPrecondition

MAX_ITEMS = 100


@dataclass(frozen=True, slots=True)
class Cart:
    """Items of one venue.

    Args:
        items: menu item id to how many, in the order of their first addition.
        revision: grows with each change.
    """

    guest_id: str
    venue_id: str = ""
    items: tuple[tuple[str, int], ...] = ()
    updated_at: datetime | None = None
    revision: int = 0

    def with_item(self, menu_item_id: str, venue_id: str, quantity: int, at: datetime) -> "Cart":
        """The cart with so many of an item; zero takes it out.

        Raises:
            FailedPrecondition: CART_OTHER_VENUE, or CART_FULL above 100 different items.
        """
        others = tuple((item, count) for item, count in self.items if item != menu_item_id)
        if quantity and others and venue_id != self.venue_id:
            raise FailedPrecondition(
                "CART_OTHER_VENUE",
                "the cart holds items of another venue; clear it first",
                metadata={"venue_id": self.venue_id},
            )
        if quantity and len(others) >= MAX_ITEMS:
            raise FailedPrecondition("CART_FULL", f"a cart holds at most {MAX_ITEMS} different items")
        if quantity:
            known = dict(self.items)
            known[menu_item_id] = quantity
            items = tuple(known.items())
        else:
            items, venue_id = others, self.venue_id
        return replace(
            self, items=items, venue_id=venue_id if items else "", updated_at=at, revision=self.revision + 1
        )
