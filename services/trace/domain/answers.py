"""The answers."""

from dataclasses import dataclass, replace
from datetime import datetime

from chassis.quantity import Quantity
from services.trace.domain.orders import OrderState


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedLot:
    """A lot as far as it is known; of one that was only mentioned, nothing but the id.

    Args:
        destroyed: all that was left of it.
        unit_id: SSCC of the logistic unit that it is in; empty when in none.
        by_partners_only: of a lot of a recall scope, nobody but partners said that it was reached.
        in_transit_by_partners_only: it is in transit, and nobody but partners said so.
    """

    lot_id: str
    lot_code: str
    product_code: str
    grower_id: str
    owner_id: str
    parent_lot_id: str
    recalled: bool
    quantity: Quantity | None
    harvest_time: datetime | None
    farm_name: str
    custodian_id: str
    held: bool
    destroyed: bool
    in_transit: bool
    unit_id: str
    by_partners_only: bool = False
    in_transit_by_partners_only: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedShipment:
    """A lot on its way; `quantity` is None when it is known only by the logistic unit that it is in.

    Args:
        by_partners_only: nobody but partners said so; `shipment_id` is that of their event.
    """

    shipment_id: str
    lot_id: str
    from_id: str
    to_id: str
    unit_id: str
    quantity: Quantity | None
    ship_time: datetime
    by_partners_only: bool = False


@dataclass(frozen=True, slots=True)
class TracedStock:
    """A venue's stock of a lot; `received` is None when only its quarantine was heard of."""

    stock_item_id: str
    venue_id: str
    lot_id: str
    received: Quantity | None
    quarantined: bool


@dataclass(frozen=True, slots=True)
class TracedVenue:
    """A venue; name and owner are empty when only its stock was heard of."""

    venue_id: str
    name: str
    owner_id: str


@dataclass(frozen=True, slots=True)
class TracedMenuItem:
    """An item on a menu."""

    menu_item_id: str
    venue_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TracedOrder:
    """An order, the lots that it was served from, and the menu items that they went into."""

    order_id: str
    venue_id: str
    guest_id: str
    state: OrderState
    lot_ids: tuple[str, ...]
    menu_item_ids: tuple[str, ...]
    place_time: datetime | None

    def without_guest(self) -> "TracedOrder":
        """For those who may not see personal data."""
        return replace(self, guest_id="")


@dataclass(frozen=True, slots=True)
class OrderTrace:
    """An order and every lot that its food came from, back to the harvests."""

    order: TracedOrder
    lots: tuple[TracedLot, ...]

    def without_personal_data(self) -> "OrderTrace":
        """The same without the guest."""
        return replace(self, order=self.order.without_guest())


@dataclass(frozen=True, slots=True)
class Custody:
    """Who owned a lot from when on."""

    owner_id: str
    from_time: datetime
    reference_document: str


@dataclass(frozen=True, slots=True)
class Descent:
    """A lot was split off another, or made of it."""

    parent_lot_id: str
    lot_id: str
    at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LotTrace:
    """A lot's journey; `ancestors` begins with the harvest and ends with its parent.

    `descendants` and `stock` are the first by id; `descendant_count` and `stock_count` are of all.
    """

    lot: TracedLot
    ancestors: tuple[TracedLot, ...]
    descendants: tuple[TracedLot, ...]
    custody: tuple[Custody, ...]
    stock: tuple[TracedStock, ...]
    descendant_count: int
    stock_count: int
    descent: tuple[Descent, ...]
