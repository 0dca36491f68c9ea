"""What the checkout saga remembers, as JSON."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

from chassis.money import Money
from chassis.quantity import Quantity
from services.orders.domain.order import Need


@dataclass(frozen=True, slots=True)
class CheckoutData:
    """The saga's input.

    Args:
        cart_revision: the cart to be emptied on success if it is still at this revision; None when the
            items did not come from the cart.
    """

    order_id: str
    guest_id: str
    venue_id: str
    payment_method: str
    total: Money
    needs: tuple[Need, ...]
    cart_revision: int | None

    def to_json(self) -> dict[str, Any]:
        """As a JSON object."""
        return {
            "order_id": self.order_id,
            "guest_id": self.guest_id,
            "venue_id": self.venue_id,
            "payment_method": self.payment_method,
            "total": {"minor": self.total.minor, "currency": self.total.currency},
            "needs": [
                {
                    "menu_item_id": need.menu_item_id,
                    "amount": need.quantity.text,
                    "unit": need.quantity.unit,
                    "product_code": need.product_code,
                    "lot_id": need.lot_id,
                }
                for need in self.needs
            ],
            "cart_revision": self.cart_revision,
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Self:
        """From what `to_json` made; further keys are ignored."""
        return cls(
            order_id=data["order_id"],
            guest_id=data["guest_id"],
            venue_id=data["venue_id"],
            payment_method=data["payment_method"],
            total=Money(**data["total"]),
            needs=tuple(
                Need(
                    need["menu_item_id"],
                    Quantity.of(need["amount"], need["unit"]),
                    need["product_code"],
                    need["lot_id"],
                )
                for need in data["needs"]
            ),
            cart_revision=data["cart_revision"],
        )
