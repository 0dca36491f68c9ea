"""Facts about stock that others hear of."""

from dataclasses import dataclass

from services.inventory.domain.reservation import Reservation
from services.inventory.domain.stock import StockItem


@dataclass(frozen=True, slots=True)
class Received:
    """A lot, or part of it, is in stock."""

    item: StockItem


@dataclass(frozen=True, slots=True)
class Quarantined:
    """Stock of a recalled lot must not be used."""

    item: StockItem
    recall_id: str


@dataclass(frozen=True, slots=True)
class QuarantineLifted:
    """Stock may be used again: no recall of its lot is left."""

    item: StockItem
    recall_id: str


@dataclass(frozen=True, slots=True)
class OrderAffected:
    """Goods of recalled lots are set aside for an order, or have left the stock for it."""

    recall_id: str
    order_id: str
    venue_id: str
    lot_ids: tuple[str, ...]
    consumed: bool


@dataclass(frozen=True, slots=True)
class Reserved:
    """Stock is set aside."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class Released:
    """A reservation was given back or ran out."""

    reservation: Reservation


@dataclass(frozen=True, slots=True)
class Consumed:
    """Reserved goods left the stock."""

    reservation: Reservation


StockEvent = Received | Quarantined | QuarantineLifted | OrderAffected | Reserved | Released | Consumed
