"""Reading stock."""

from collections.abc import Sequence
from datetime import datetime

from chassis.context import Principal
from chassis.errors import NotFound, PermissionDenied
from services.inventory.application.ports import Catalog, Stock
from services.inventory.domain.reservation import Reservation
from services.inventory.domain.stock import StockItem

READ_ALL = "inventory.read"


class StockQueries:
    """The stock of one's own venues, or any with inventory.read."""

    def __init__(self, stock: Stock, catalog: Catalog) -> None:
        self._stock = stock
        self._catalog = catalog

    async def get(self, stock_item_id: str, actor: Principal) -> StockItem:
        """One item.

        Raises:
            NotFound: STOCK_ITEM_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
        """
        item = await self._stock.get(stock_item_id)
        if item is None:
            raise NotFound("STOCK_ITEM_NOT_FOUND", "there is no such stock item")
        await self._ensure_may_see(item.venue_id, actor)
        return item

    async def page(
        self,
        actor: Principal,
        venue_id: str,
        product_code: str | None,
        lot_id: str | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[StockItem]:
        """A venue's items in the order of use, at most `limit`.

        Raises:
            NotFound: VENUE_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
        """
        await self._ensure_may_see(venue_id, actor)
        return await self._stock.page(venue_id, product_code, lot_id, after, limit)

    async def shown(self, reservation: Reservation, actor: Principal) -> Reservation:
        """A reservation, to one who may see the venue's stock.

        Raises:
            PermissionDenied: NOT_OWNER.
        """
        await self._ensure_may_see(reservation.venue_id, actor)
        return reservation

    async def _ensure_may_see(self, venue_id: str, actor: Principal) -> None:
        if READ_ALL in actor.permissions:
            return
        if await self._catalog.venue_owner(venue_id) != actor.subject:
            raise PermissionDenied("NOT_OWNER", "the venue belongs to someone else")
