"""What the use cases need of the outside world."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime, timedelta
from typing import Any, Protocol

from chassis.money import Money
from services.orders.domain.cart import Cart
from services.orders.domain.events import OrderEvent
from services.orders.domain.order import MenuItem, Need, Order, State


class Orders(Protocol):
    """Orders and the history of their states."""

    async def add(self, order: Order) -> bool:
        """Store a new order; False when the guest's request_id has one already."""
        ...

    async def get(self, order_id: str, *, lock: bool = False) -> Order | None: ...

    async def of_request(self, guest_id: str, request_id: str) -> Order | None: ...

    async def save(self, order: Order) -> None:
        """Store a new state and add it to the history."""
        ...

    async def save_recall(self, order: Order) -> None:
        """Store which recalls reached it and what was given back; that is no new state."""
        ...

    async def history(self, order_id: str, after_revision: int) -> Sequence[Order]:
        """The order as it was at each revision above `after_revision`, oldest first."""
        ...

    async def page(
        self,
        guest_id: str | None,
        venue_id: str | None,
        state: State | None,
        before: str | None,
        limit: int,
    ) -> Sequence[Order]:
        """Orders with ids below `before`, newest first."""
        ...


class Carts(Protocol):
    """One cart a guest."""

    async def get(self, guest_id: str, *, lock: bool = False) -> Cart: ...

    async def save(self, cart: Cart) -> None: ...

    async def clear(self, guest_id: str, at: datetime, *, revision: int | None = None) -> None:
        """Empty the cart, or only if it is still at `revision`."""
        ...


class Watcher(Protocol):
    """One who waits for changes of an order."""

    async def wait(self, timeout_s: float) -> bool:
        """Until the order may have changed, or the time in seconds; True when it may have."""
        ...


class Changes(Protocol):
    """Hears of orders that this process changes."""

    def watch(self, order_id: str) -> AbstractContextManager[Watcher]: ...


class Catalog(Protocol):
    """The catalog service."""

    async def menu_items(self, menu_item_ids: Sequence[str]) -> Sequence[MenuItem]:
        """The items, in that order.

        Raises:
            NotFound: MENU_ITEM_NOT_FOUND.
        """
        ...

    async def venue_owner(self, venue_id: str) -> str:
        """Who owns a venue.

        Raises:
            NotFound: VENUE_NOT_FOUND.
        """
        ...


class Inventory(Protocol):
    """The inventory service; every call is idempotent by its key."""

    async def reserve(self, key: str, order_id: str, venue_id: str, needs: Sequence[Need]) -> None: ...

    async def hold(self, key: str, order_id: str) -> None:
        """Keep the reservation past its expiry."""
        ...

    async def consume(self, key: str, order_id: str) -> None: ...

    async def release(self, key: str, order_id: str) -> None: ...


class Payments(Protocol):
    """The payments service; every call is idempotent by its key."""

    async def authorize(
        self, key: str, order_id: str, payer_id: str, amount: Money, payment_method: str
    ) -> None: ...

    async def capture(self, key: str, order_id: str) -> None: ...

    async def void(self, key: str, order_id: str) -> None: ...

    async def refund(self, key: str, order_id: str, reason: str) -> Money:
        """Give back all that is left; gives what the payer has back in all."""
        ...


class Events(Protocol):
    """Tells others, in the running transaction."""

    async def publish(self, event: OrderEvent) -> None: ...


class CheckoutSagas(Protocol):
    """Runs the checkout saga."""

    async def start(self, order_id: str, data: Mapping[str, Any]) -> None:
        """Start it in the running transaction."""
        ...

    async def ended(self, order_id: str, within: timedelta) -> bool:
        """Wait for its end; False when it has not ended within the time."""
        ...


class RecallSagas(Protocol):
    """Runs the saga that sees to an order which a recall reached."""

    async def start(self, saga_id: str, data: Mapping[str, Any]) -> None:
        """Start it in the running transaction, or do nothing when there is one with that id."""
        ...
