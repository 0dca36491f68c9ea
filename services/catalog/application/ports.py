"""What the use cases need of the outside world."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.catalog.domain.menu_item import MenuItem, PriceChange
from services.catalog.domain.recall import QuarantinedStock
from services.catalog.domain.venue import Venue


class Venues(Protocol):
    """Venues by id."""

    async def add(self, venue: Venue) -> None: ...

    async def get(self, venue_id: str) -> Venue | None: ...

    async def page(self, owner_id: str | None, after: str | None, limit: int) -> Sequence[Venue]:
        """Venues with ids above `after`, oldest first."""
        ...

    async def lock(self, venue_id: str, *, shared: bool = False) -> None:
        """Until the transaction ends let nobody take in a quarantine; unless `shared`, nor write its menu."""
        ...


class MenuItems(Protocol):
    """Menu items by id, with the history of their prices."""

    async def add(self, item: MenuItem) -> None: ...

    async def get(self, menu_item_id: str, *, lock: bool = False) -> MenuItem | None: ...

    async def get_many(self, menu_item_ids: Sequence[str]) -> Sequence[MenuItem]:
        """Those that exist, in no particular order."""
        ...

    async def save(self, item: MenuItem) -> None:
        """Store a new revision, and its price in the history when it differs from the last."""
        ...

    async def page(
        self, venue_id: str | None, available_only: bool, after: str | None, limit: int
    ) -> Sequence[MenuItem]:
        """Items with ids above `after`, oldest first."""
        ...

    async def of_venue(self, venue_id: str) -> Sequence[MenuItem]:
        """The whole menu, locked, in the order of ids."""
        ...

    async def prices(self, menu_item_id: str, before: int | None, limit: int) -> Sequence[PriceChange]:
        """Prices that began before the item's revision `before`, newest first."""
        ...


class Quarantines(Protocol):
    """What is in quarantine where; the later of begin and end holds, in whichever order they come."""

    async def begin(self, stock: QuarantinedStock, at: datetime) -> bool:
        """Whether it is in quarantine now."""
        ...

    async def lift(self, stock_item_id: str, venue_id: str, at: datetime) -> None: ...

    async def of_venue(self, venue_id: str) -> Sequence[QuarantinedStock]: ...

    async def taken_off(self, recall_id: str, menu_item_id: str) -> bool:
        """Remember that a recall took an item off; False when it had before."""
        ...


class Events(Protocol):
    """Tells others, in the running transaction."""

    async def venue_created(self, venue: Venue) -> None: ...

    async def menu_item_changed(self, item: MenuItem) -> None: ...

    async def menu_item_delisted(self, item: MenuItem, recall_id: str, lot_id: str) -> None: ...
