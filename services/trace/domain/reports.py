"""What partners reported of goods under way, and how warm they were."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from chassis.quantity import Quantity
from services.trace.domain.journal import Reading


class Step(StrEnum):
    """Business steps of CBV 2.0 that begin or end a way."""

    SHIPPING = "shipping"
    RECEIVING = "receiving"
    VOID_SHIPPING = "void_shipping"


@dataclass(frozen=True, slots=True)
class ReportedGood:
    """A lot of ours by its id, other goods or a logistic unit by the canonical URI."""

    name: str
    quantity: Quantity | None


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodsMoved:
    """Goods left, arrived, or did not leave after all.

    Of a lot of ours it counts only of those who have it or had it.

    Args:
        from_id, to_id: as the partner names them; empty when it does not.
        documents: ids of business documents; an end is that of a shipment that shares one with it, or of any
            when one of the two names none.
    """

    event_id: str
    step: Step
    goods: tuple[ReportedGood, ...]
    at: datetime
    reported_by: str
    from_id: str
    to_id: str
    documents: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class GoodsMeasured:
    """Temperatures of goods, and of what travels on a logistic unit while it is on it.

    Args:
        goods: lots of ours by their ids, other goods and units by their URIs.
        readings: whose `lot_id` is empty, as they are of all these.
    """

    event_id: str
    goods: tuple[str, ...]
    reported_by: str
    readings: tuple[Reading, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportWithdrawn:
    """A partner declared an event wrong: what it said of ways and temperatures counts no more."""

    event_id: str
    reported_by: str


Report = GoodsMoved | GoodsMeasured | ReportWithdrawn


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Goods of a lot that are under way, or came, by partners' word alone; `party_id` is to whom."""

    event_id: str
    party_id: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Ways:
    """What partners said of a lot's ways, as far as it is not answered.

    Args:
        open: shipments that have not ended.
        unannounced: arrivals that no shipment went before.
    """

    open: tuple[Way, ...] = ()
    unannounced: tuple[Way, ...] = ()
