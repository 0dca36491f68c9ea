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


StockEvent = Received | Quarantined | Reserved | Released | Consumed
