"""Writing and reading menus."""

from collections.abc import Sequence
from typing import Any

from chassis.clock import Clock
from chassis.errors import Aborted, InvalidArgument, NotFound, Violation
from chassis.ids import IdSource
from chassis.money import Money
from chassis.transactions import Transactions
from services.catalog.application.ports import Events, MenuItems, Quarantines, Venues
from services.catalog.application.venues import VenueQueries
from services.catalog.domain.menu_item import CHANGEABLE, Ingredient, MenuItem, PriceChange
from services.catalog.domain.recall import ensure_may_be_offered


class Offers:
    """What guests may be offered while recalls go on."""

    def __init__(self, venues: Venues, quarantines: Quarantines) -> None:
        self._venues = venues
        self._quarantines = quarantines

    async def begin(self, venue_id: str) -> None:
        """Keep quarantines from the venue's menu until the running transaction ends."""
        await self._venues.lock(venue_id, shared=True)

    async def ensure(self, item: MenuItem) -> None:
        """Refuse an item that guests must not be offered; after `begin`.

        Raises:
            FailedPrecondition: LOT_RECALLED.
        """
        if item.available:
            ensure_may_be_offered(item, await self._quarantines.of_venue(item.venue_id))


class CreateMenuItem:
    """Puts an item on the menu of the caller's venue."""

    def __init__(
        self,
        transactions: Transactions,
        venues: VenueQueries,
        items: MenuItems,
        offers: Offers,
        events: Events,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._venues = venues
        self._items = items
        self._offers = offers
        self._events = events
        self._clock = clock
        self._ids = ids

    async def __call__(
        self,
        actor: str,
        venue_id: str,
        name: str,
        description: str,
        price: Money,
        ingredients: Sequence[Ingredient],
    ) -> MenuItem:
        """Store it and tell others.

        Raises:
            NotFound: VENUE_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            InvalidArgument: PRICE_INVALID, QUANTITY_ZERO.
            FailedPrecondition: LOT_RECALLED.
        """
        (await self._venues.get(venue_id)).ensure_owner(actor)
        now = self._clock.now()
        item = MenuItem(self._ids.uuid7(), venue_id, name, description, price, tuple(ingredients), now, now)
        async with self._transactions.transaction():
            await self._offers.begin(venue_id)
            await self._offers.ensure(item)
            await self._items.add(item)
            await self._events.menu_item_changed(item)
        return item


class UpdateMenuItem:
    """Changes what the mask names; a new price joins the history."""

    def __init__(
        self,
        transactions: Transactions,
        venues: VenueQueries,
        items: MenuItems,
        offers: Offers,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._venues = venues
        self._items = items
        self._offers = offers
        self._events = events
        self._clock = clock

    async def __call__(self, actor: str, menu_item_id: str, etag: str, changes: dict[str, Any]) -> MenuItem:
        """Change an item.

        Args:
            actor: subject of the caller, who must own the venue.
            etag: the revision that the caller has seen; empty for whichever there is.
            changes: field name to new value.

        Raises:
            NotFound: MENU_ITEM_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            InvalidArgument: UPDATE_MASK_INVALID, PRICE_INVALID, QUANTITY_ZERO, VALIDATION_FAILED.
            FailedPrecondition: LOT_RECALLED.
            Aborted: ETAG_MISMATCH.
        """
        if unknown := sorted(changes.keys() - CHANGEABLE):
            raise InvalidArgument(
                "UPDATE_MASK_INVALID",
                f"update_mask may name {', '.join(sorted(CHANGEABLE))}; not {', '.join(unknown)}",
                violations=[Violation("update_mask", f"{name} cannot be changed") for name in unknown],
            )
        async with self._transactions.transaction():
            item = await self._items.get(menu_item_id)
            if item is None:
                raise _not_found(menu_item_id)
            (await self._venues.get(item.venue_id)).ensure_owner(actor)
            item = await self._locked(item)
            if etag and etag != str(item.revision):
                raise Aborted("ETAG_MISMATCH", "the item has changed since it was read; read it again")
            changed = item.changed(changes, self._clock.now())
            if changed is not item:
                await self._offers.ensure(changed)
                await self._items.save(changed)
                await self._events.menu_item_changed(changed)
        return changed

    async def _locked(self, item: MenuItem) -> MenuItem:
        # The venue before its items, as everyone who locks both.
        await self._offers.begin(item.venue_id)
        locked = await self._items.get(item.menu_item_id, lock=True)
        if locked is None:
            raise _not_found(item.menu_item_id)
        return locked


class MenuQueries:
    """Reads menus; anyone may."""

    def __init__(self, items: MenuItems) -> None:
        self._items = items

    async def get(self, menu_item_id: str) -> MenuItem:
        """One item.

        Raises:
            NotFound: MENU_ITEM_NOT_FOUND.
        """
        item = await self._items.get(menu_item_id)
        if item is None:
            raise _not_found(menu_item_id)
        return item

    async def get_many(self, menu_item_ids: Sequence[str]) -> Sequence[MenuItem]:
        """The items in the order asked for.

        Raises:
            NotFound: MENU_ITEM_NOT_FOUND, one is missing; it is named.
        """
        found = {item.menu_item_id: item for item in await self._items.get_many(menu_item_ids)}
        for menu_item_id in menu_item_ids:
            if menu_item_id not in found:
                raise _not_found(menu_item_id)
        return [found[menu_item_id] for menu_item_id in menu_item_ids]

    async def page(
        self, venue_id: str | None, available_only: bool, after: str | None, limit: int
    ) -> Sequence[MenuItem]:
        """Items after an id, oldest first, at most `limit`."""
        return await self._items.page(venue_id, available_only, after, limit)

    async def prices(self, menu_item_id: str, before: int | None, limit: int) -> Sequence[PriceChange]:
        """The item's prices that began before revision `before`, newest first.

        Raises:
            NotFound: MENU_ITEM_NOT_FOUND.
        """
        await self.get(menu_item_id)
        return await self._items.prices(menu_item_id, before, limit)


def _not_found(menu_item_id: str) -> NotFound:
    return NotFound(
        "MENU_ITEM_NOT_FOUND",
        "there is no such menu item",
        metadata={"menu_item_id": menu_item_id},
        resource=("menu-item", menu_item_id),
    )
