"""What is known about goods before an event: the small snapshot that plausibility rules compare with."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from chassis.errors import InvalidArgument
from chassis.quantity import Quantity
from services.crops.domain.epcis.facts import EventFacts, Good, Role


@dataclass(frozen=True, slots=True)
class GoodKnown:
    """One lot or thing so far.

    Args:
        made_at: event time of the earliest event that created it; None when nobody reported that.
        seen_at: event time of the earliest event that names it.
        balance: what was made or first received, less what was used up; None when never quantified.
        in_transit: event id of a shipment that nobody has received yet.
        ended_at: event time at which it was destroyed, sold or used up as a thing; None while it exists.
    """

    made_at: datetime | None
    seen_at: datetime
    balance: Quantity | None = None
    in_transit: str | None = None
    ended_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Known:
    """What is known about everything that one event names; what is absent is not known.

    Args:
        goods: canonical id -> what is known.
        parents: canonical id of a child -> parents that hold it at the event's time.
        ancestors: canonical id -> all that went into it by transformations, any number of steps back.
        bill_parties: canonical id of a bill of lading -> firms that have used it.
    """

    goods: Mapping[str, GoodKnown] = field(default_factory=dict)
    parents: Mapping[str, frozenset[str]] = field(default_factory=dict)
    ancestors: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bill_parties: Mapping[str, frozenset[str]] = field(default_factory=dict)


def amount(good: Good) -> Quantity | None:
    """The quantity of goods in a known unit; None when there is none that can be compared."""
    if good.quantity is None:
        return None
    try:
        return Quantity(good.quantity, good.unit)
    except InvalidArgument:
        return None


def makes(event: EventFacts) -> tuple[Good, ...]:
    """The goods that an event brings into being."""
    if event.type == "ObjectEvent" and event.action == "ADD":
        return event.of(Role.SUBJECT)
    return event.of(Role.OUTPUT)


def uses_up(event: EventFacts) -> tuple[Good, ...]:
    """The goods, or amounts of them, that an event ends."""
    if event.type == "ObjectEvent" and event.action == "DELETE":
        return event.of(Role.SUBJECT)
    return event.of(Role.INPUT)


def learn(known: Known, event: EventFacts) -> Known:
    """What is known after an event: the meaning that a repository's own tables must have.

    Events are taken in the order of their event time. A declared error changes nothing. The ancestors stay as
    they are: an event may have many more of them than it has goods.
    """
    if event.declares_error:
        return known
    goods = dict(known.goods)
    for good in event.goods:
        goods[good.id] = _seen(goods.get(good.id), good, event)
    for good in makes(event):
        goods[good.id] = _made(goods[good.id], good, event)
    for good in uses_up(event):
        goods[good.id] = _used(goods[good.id], good, event)
    return Known(goods, _parents(known, event), known.ancestors, _bills(known, event))


def _seen(before: GoodKnown | None, good: Good, event: EventFacts) -> GoodKnown:
    at = event.event_time
    now = before or GoodKnown(None, at)
    now = replace(now, seen_at=min(now.seen_at, at))
    if good.role is Role.SUBJECT and event.biz_step == "shipping":
        return replace(now, in_transit=event.event_id)
    if good.role is Role.SUBJECT and event.biz_step in ("receiving", "void_shipping"):
        received = amount(good) if now.balance is None and event.biz_step == "receiving" else None
        return replace(now, in_transit=None, balance=now.balance or received)
    return now


def _made(now: GoodKnown, good: Good, event: EventFacts) -> GoodKnown:
    at = min(now.made_at, event.event_time) if now.made_at else event.event_time
    return replace(now, made_at=at, balance=_sum(now.balance, amount(good)))


def _used(now: GoodKnown, good: Good, event: EventFacts) -> GoodKnown:
    used = amount(good)
    if good.instance:
        return replace(now, ended_at=event.event_time)
    if used is None or now.balance is None or not now.balance.comparable(used.unit):
        return now
    left = now.balance - used if used.exact <= now.balance.exact else Quantity.of(0, now.balance.unit)
    return replace(now, balance=left)


def _sum(one: Quantity | None, other: Quantity | None) -> Quantity | None:
    if one is None or other is None or not one.comparable(other.unit):
        return one or other
    try:
        return one + other
    except InvalidArgument:  # more than a quantity can be: what was known before stays
        return one


def _parents(known: Known, event: EventFacts) -> Mapping[str, frozenset[str]]:
    parent = event.parent
    if event.type != "AggregationEvent" or parent is None or event.action == "OBSERVE":
        return known.parents
    parents = dict(known.parents)
    children: Iterable[str] = [good.id for good in event.of(Role.CHILD)]
    if event.action == "DELETE" and not children:
        children = [child for child, holders in parents.items() if parent in holders]
    for child in children:
        holders = parents.get(child, frozenset())
        parents[child] = holders | {parent} if event.action == "ADD" else holders - {parent}
    return parents


def _bills(known: Known, event: EventFacts) -> Mapping[str, frozenset[str]]:
    bills = dict(known.bill_parties)
    for kind, bill in event.transactions:
        if kind == "bol":
            bills[bill] = bills.get(bill, frozenset()) | event.parties
    return bills
