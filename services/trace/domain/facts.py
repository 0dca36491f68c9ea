"""What other services have said. They arrive in any order; a fact adds to the graph, none takes away.

`at` is when it happened, `recorded` when its service wrote it down: of two facts about one thing the one
recorded last holds, since times of events may be told late.
"""

from dataclasses import dataclass
from datetime import datetime

from chassis.quantity import Quantity
from services.trace.domain.movements import Movement
from services.trace.domain.orders import OrderState
from services.trace.domain.reports import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class LotMinted:
    """A lot was harvested, split off `parent_lot_id`, or made of `parent_lot_ids`."""

    lot_id: str
    lot_code: str
    product_code: str
    quantity: Quantity
    grower_id: str
    owner_id: str
    farm_name: str
    harvest_time: datetime
    parent_lot_id: str | None
    at: datetime
    parent_lot_ids: tuple[str, ...] = ()
    expire_time: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LotTransferred:
    """A lot has a new owner; the highest number is the present one's."""

    lot_id: str
    number: int
    new_owner_id: str
    reference_document: str
    at: datetime
    custodian_id: str = ""
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotSplit:
    """Parts were taken from a lot; `remaining` is what it still holds."""

    lot_id: str
    part_lot_ids: tuple[str, ...]
    remaining: Quantity
    at: datetime
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotTransformed:
    """Lots were made of others; `remaining` is what each input still holds."""

    remaining: tuple[tuple[str, Quantity], ...]
    output_lot_ids: tuple[str, ...]
    at: datetime
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class LotRecalled:
    """A lot must not be used.

    Args:
        recall_id: names the recall; a lot is recalled as long as one of its recalls is not released.
    """

    lot_id: str
    recall_id: str
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StockReceived:
    """A lot, or part of it, came into a venue's stock; of one stock item these arrive in order."""

    stock_item_id: str
    venue_id: str
    lot_id: str
    quantity: Quantity


@dataclass(frozen=True, slots=True, kw_only=True)
class StockQuarantined:
    """Stock must not be used."""

    stock_item_id: str
    venue_id: str
    lot_id: str
    recorded: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class QuarantineLifted:
    """Stock may be used again; what was recorded last holds."""

    stock_item_id: str
    venue_id: str
    lot_id: str
    recorded: datetime


@dataclass(frozen=True, slots=True)
class Allocation:
    """Goods of a stock item, and so of a lot, for an item of an order."""

    stock_item_id: str
    lot_id: str
    menu_item_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StockReserved:
    """Goods are set aside for an order."""

    order_id: str
    venue_id: str
    allocations: tuple[Allocation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReservationReleased:
    """What was set aside for an order was given back; inventory never reserves for it again."""

    order_id: str
    venue_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class StockConsumed:
    """Goods left the stock for an order."""

    order_id: str
    venue_id: str
    allocations: tuple[Allocation, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class VenueCreated:
    """A venue opened."""

    venue_id: str
    owner_id: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MenuItemChanged:
    """All of a menu item; the highest revision is the present one."""

    menu_item_id: str
    venue_id: str
    name: str
    product_codes: tuple[str, ...]
    lot_ids: tuple[str, ...]
    revision: int


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderSeen:
    """An order reached a state; only the placing says when it was placed."""

    order_id: str
    guest_id: str
    venue_id: str
    state: OrderState
    placed_at: datetime | None = None


Fact = (
    LotMinted
    | LotTransferred
    | LotSplit
    | LotTransformed
    | LotRecalled
    | Movement
    | Report
    | StockReceived
    | StockQuarantined
    | QuarantineLifted
    | StockReserved
    | ReservationReleased
    | StockConsumed
    | VenueCreated
    | MenuItemChanged
    | OrderSeen
)
