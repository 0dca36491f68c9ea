"""The recall scope: everything that a lot reached."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum

from services.trace.domain.answers import (
    TracedLot,
    TracedMenuItem,
    TracedOrder,
    TracedShipment,
    TracedStock,
    TracedVenue,
)


class ScopeKind(IntEnum):
    """What a scope is made of, in the order in which it is listed."""

    LOT = 1
    STOCK = 2
    VENUE = 3
    MENU_ITEM = 4
    ORDER = 5
    GUEST = 6
    SHIPMENT = 7


@dataclass(frozen=True, slots=True)
class Place:
    """Where an entry stands in the list: by kind, then by id; orders by lot first, shipments by id and lot.

    Args:
        lot_id: of an order, the first lot of the scope that it was served from; of a shipment, the lot on
            its way; else empty.
    """

    kind: ScopeKind
    entry_id: str
    lot_id: str = ""


@dataclass(frozen=True, slots=True)
class ScopeEntry:
    """One thing that the lot reached; of a guest the id is all that is known here."""

    place: Place
    what: TracedLot | TracedStock | TracedVenue | TracedMenuItem | TracedOrder | TracedShipment | None

    def without_personal_data(self) -> "ScopeEntry":
        """For those who may not see personal data."""
        if isinstance(self.what, TracedOrder):
            return replace(self, what=self.what.without_guest())
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class ScopeCounts:
    """How much of each kind a lot reached."""

    lots: int
    recalled_lots: int
    stock: int
    quarantined_stock: int
    venues: int
    menu_items: int
    orders: int
    guests: int
    shipments: int
    held_lots: int
    destroyed_lots: int
    custodians: int
    partner_lots: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecallScope:
    """How far a lot reached: the counts of everything, and the first of each kind.

    Args:
        recalled: whether the lot itself is.
        first_order, last_order: when the orders were placed, as far as that is known.
        as_of: the newest event that the answer knows of.
        position: the state of knowledge that it is of.
    """

    lot_id: str
    recalled: bool
    counts: ScopeCounts
    lots: tuple[TracedLot, ...]
    stock: tuple[TracedStock, ...]
    venues: tuple[TracedVenue, ...]
    menu_items: tuple[TracedMenuItem, ...]
    orders: tuple[TracedOrder, ...]
    guest_ids: tuple[str, ...]
    shipments: tuple[TracedShipment, ...]
    custodian_ids: tuple[str, ...]
    first_order: datetime | None
    last_order: datetime | None
    as_of: datetime | None
    position: int
    complete: bool

    def without_personal_data(self) -> "RecallScope":
        """The same with the number of guests and not who they are."""
        orders = tuple(order.without_guest() for order in self.orders)
        return replace(self, orders=orders, guest_ids=())
