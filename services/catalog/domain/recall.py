"""Goods in quarantine at a venue, and what on its menu they concern."""

from collections.abc import Iterable
from dataclasses import dataclass

from chassis.errors import FailedPrecondition
from services.catalog.domain.menu_item import Ingredient, MenuItem


@dataclass(frozen=True, slots=True)
class QuarantinedStock:
    """A venue's stock of a lot that must not be used.

    Args:
        product_code: empty when it was not told.
    """

    stock_item_id: str
    venue_id: str
    lot_id: str
    product_code: str = ""

    def concerns(self, item: MenuItem) -> bool:
        """Whether the item is made of the lot, or of whatever lot of its product."""
        return any(map(self._is_of, item.ingredients))

    def _is_of(self, ingredient: Ingredient) -> bool:
        if ingredient.lot_id:
            return ingredient.lot_id == self.lot_id
        return bool(self.product_code) and ingredient.product_code == self.product_code


def ensure_may_be_offered(item: MenuItem, quarantined: Iterable[QuarantinedStock]) -> None:
    """Refuse to offer guests what names a lot in quarantine.

    What names the product only may be offered: the venue may have, or get, other lots of it.

    Raises:
        FailedPrecondition: LOT_RECALLED.
    """
    if not item.available:
        return
    named = {ingredient.lot_id for ingredient in item.ingredients}
    for stock in quarantined:
        if stock.lot_id in named:
            raise FailedPrecondition(
                "LOT_RECALLED",
                "the item names a lot in quarantine at the venue; name another, or leave it unavailable",
                metadata={"lot_id": stock.lot_id},
                resource=("lot", stock.lot_id),
            )
