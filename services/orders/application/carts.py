"""Reading and changing a cart."""

from chassis.clock import Clock
from chassis.transactions import Transactions
from services.orders.application.ports import Carts, Catalog
from services.orders.domain.cart import Cart
from services.orders.domain.order import draft


class CartCommands:
    """A guest's own cart."""

    def __init__(self, transactions: Transactions, carts: Carts, catalog: Catalog, clock: Clock) -> None:
        self._transactions = transactions
        self._carts = carts
        self._catalog = catalog
        self._clock = clock

    async def get(self, guest_id: str) -> Cart:
        """The cart, empty when there is none."""
        return await self._carts.get(guest_id)

    async def set_item(self, guest_id: str, menu_item_id: str, quantity: int) -> Cart:
        """Put so many of an item into the cart; zero takes it out.

        Raises:
            NotFound: MENU_ITEM_NOT_FOUND.
            FailedPrecondition: MENU_ITEM_UNAVAILABLE, CART_OTHER_VENUE, CART_FULL.
        """
        venue_id = ""
        if quantity:
            (item,) = await self._catalog.menu_items([menu_item_id])
            venue_id = draft([(item, quantity)]).venue_id
        async with self._transactions.transaction():
            cart = await self._carts.get(guest_id, lock=True)
            changed = cart.with_item(menu_item_id, venue_id, quantity, self._clock.now())
            await self._carts.save(changed)
        return changed

    async def clear(self, guest_id: str) -> None:
        """Empty the cart."""
        await self._carts.clear(guest_id, self._clock.now())
