"""What an event says in canonical terms: what a repository indexes and what plausibility rules look at."""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import StrEnum
from typing import Final

from services.crops.domain.epcis import model as m
from services.crops.domain.epcis import vocabulary as v
from services.crops.domain.epcis.context import NO_CONTEXT, Context
from services.crops.domain.epcis.event_hash import event_hash
from services.crops.domain.epcis.identifiers import Identifier, Level, canonical, recognise
from services.crops.domain.epcis.sensors import readings
from services.crops.domain.epcis.times import Timestamp
from services.crops.domain.physical import Reading

PIECES: Final = "H87"
"""Unit of a quantity without `uom` (UN/ECE Rec 20: piece)."""


class Role(StrEnum):
    """How goods take part in an event."""

    SUBJECT = "subject"
    PARENT = "parent"
    CHILD = "child"
    INPUT = "input"
    OUTPUT = "output"


@dataclass(frozen=True, slots=True)
class Good:
    """Goods in an event.

    Args:
        id: canonical identifier.
        role: how they take part.
        instance: one thing (EPC) and not an amount of a class.
        quantity: 1 for an instance; None when an amount is not given.
        unit: UN/ECE Rec 20 code, H87 for pieces.
    """

    id: str
    role: Role
    instance: bool
    quantity: Decimal | None
    unit: str


@dataclass(frozen=True, slots=True)
class EventFacts:
    """An event in canonical terms; every identifier and term has one form.

    Args:
        event_id: the event's own id, or its hash when it has none.
        event_hash: CBV 2.0 hash id.
        type: "ObjectEvent" and so on, or the full URI of another type.
        action: ADD, OBSERVE or DELETE; None for transformations.
        event_time: UTC.
        zone_offset: local offset there.
        biz_step: bare name of a standard step, else a URI.
        disposition: bare name of a standard disposition, else a URI.
        persistent_set: conditions that begin.
        persistent_unset: conditions that end.
        read_point: canonical id of where it happened.
        biz_location: canonical id of where the goods are afterwards.
        goods: everything it is about.
        transactions: (type or "", canonical id) of business documents.
        sources: (type, canonical id).
        destinations: (type, canonical id).
        transformation_id: joins the parts of a transformation.
        declares_error: the event withdraws the one with the same id.
        correctives: ids of the events that correct it.
        flawed: identifiers that are not sound.
        readings: temperatures and humidities that were measured.
    """

    event_id: str
    event_hash: str
    type: str
    action: str | None
    event_time: datetime
    zone_offset: str
    biz_step: str | None
    disposition: str | None
    persistent_set: tuple[str, ...]
    persistent_unset: tuple[str, ...]
    read_point: str | None
    biz_location: str | None
    goods: tuple[Good, ...]
    transactions: tuple[tuple[str, str], ...]
    sources: tuple[tuple[str, str], ...]
    destinations: tuple[tuple[str, str], ...]
    transformation_id: str | None
    declares_error: bool
    correctives: tuple[str, ...]
    flawed: tuple[Identifier, ...]
    readings: tuple[Reading, ...]

    def of(self, *roles: Role) -> tuple[Good, ...]:
        """The goods in these roles."""
        return tuple(good for good in self.goods if good.role in roles)

    @property
    def parent(self) -> str | None:
        """The canonical id of the parent in an aggregation."""
        return next((good.id for good in self.goods if good.role is Role.PARENT), None)

    @property
    def parties(self) -> frozenset[str]:
        """The firms that the event names as giving or taking."""
        sides = self.sources + self.destinations
        return frozenset(party for kind, party in sides if kind in ("owning_party", "possessing_party"))


def facts(event: m.Event, context: Context = NO_CONTEXT, ignored: Collection[str] = ()) -> EventFacts:
    """State an event in canonical terms.

    Args:
        event: the event.
        context: prefixes of its document (`EventReader.context`, `document_context`).
        ignored: fields that do not count in its hash.
    """
    context = context.and_of(event.context)
    hash_id = event_hash(event, context, ignored)
    declared = event.error_declaration
    business = event if isinstance(event, m.BusinessEvent) else _NO_BUSINESS
    persistent = getattr(event, "persistent_disposition", None) or m.PersistentDisposition()
    goods = tuple(_goods(event))
    sources = tuple(_sides(((s.type, s.source) for s in business.sources or ()), context))
    destinations = tuple(_sides(((d.type, d.destination) for d in business.destinations or ()), context))
    return EventFacts(
        event_id=event.event_id or hash_id,
        event_hash=hash_id,
        type=context.expand(event.type) if isinstance(event, m.ExtendedEvent) else event.TYPE,
        action=getattr(event, "action", None),
        event_time=event.event_time.instant,
        zone_offset=event.event_time_zone_offset,
        biz_step=v.BIZ_STEP.short(business.biz_step, context) if business.biz_step else None,
        disposition=v.DISPOSITION.short(business.disposition, context) if business.disposition else None,
        persistent_set=tuple(v.DISPOSITION.short(text, context) for text in persistent.set or ()),
        persistent_unset=tuple(v.DISPOSITION.short(text, context) for text in persistent.unset or ()),
        read_point=canonical(business.read_point.id) if business.read_point else None,
        biz_location=canonical(business.biz_location.id) if business.biz_location else None,
        goods=goods,
        transactions=tuple(_transactions(business.biz_transactions or (), context)),
        sources=sources,
        destinations=destinations,
        transformation_id=getattr(event, "transformation_id", None),
        declares_error=declared is not None,
        correctives=(declared.corrective_event_ids or ()) if declared else (),
        flawed=tuple(found for found in map(recognise, _named(event, business)) if found.flaw is not None),
        readings=tuple(readings(business, context)),
    )


_NO_BUSINESS: Final = m.BusinessEvent(
    event_time=Timestamp.of(datetime.fromisoformat("1970-01-01T00:00:00+00:00")),
    event_time_zone_offset="+00:00",
)


def _goods(event: m.Event) -> Iterable[Good]:
    match event:
        case m.ObjectEvent() | m.TransactionEvent():
            if isinstance(event, m.TransactionEvent) and event.parent_id:
                yield _instance(event.parent_id, Role.PARENT)
            yield from _group(event.epcs, event.quantities, Role.SUBJECT)
        case m.AggregationEvent() | m.AssociationEvent():
            if event.parent_id:
                yield _instance(event.parent_id, Role.PARENT)
            yield from _group(event.child_epcs, event.child_quantities, Role.CHILD)
        case m.TransformationEvent():
            yield from _group(event.input_epcs, event.input_quantities, Role.INPUT)
            yield from _group(event.output_epcs, event.output_quantities, Role.OUTPUT)


def _group(
    epcs: tuple[str, ...] | None, quantities: tuple[m.QuantityElement, ...] | None, role: Role
) -> Iterable[Good]:
    for epc in epcs or ():
        yield _instance(epc, role)
    for element in quantities or ():
        yield Good(canonical(element.epc_class), role, False, element.quantity, element.uom or PIECES)


def _instance(epc: str, role: Role) -> Good:
    return Good(canonical(epc), role, True, Decimal(1), PIECES)


def _transactions(found: Iterable[m.BizTransaction], context: Context) -> Iterable[tuple[str, str]]:
    for item in found:
        kind = v.BIZ_TRANSACTION_TYPE.short(item.type, context) if item.type else ""
        yield kind, canonical(item.biz_transaction)


def _sides(found: Iterable[tuple[str, str]], context: Context) -> Iterable[tuple[str, str]]:
    for kind, identifier in found:
        yield v.SOURCE_DEST_TYPE.short(kind, context), canonical(identifier)


def _named(event: m.Event, business: m.BusinessEvent) -> dict[str, None]:
    """Every identifier as it came, each once, in order."""
    names: list[str | None] = [getattr(event, "parent_id", None)]
    for attribute in ("epcs", "child_epcs", "input_epcs", "output_epcs"):
        names += getattr(event, attribute, None) or ()
    for attribute in ("quantities", "child_quantities", "input_quantities", "output_quantities"):
        names += [element.epc_class for element in getattr(event, attribute, None) or ()]
    names += [place.id for place in (business.read_point, business.biz_location) if place]
    names += [item.biz_transaction for item in business.biz_transactions or ()]
    names += [source.source for source in business.sources or ()]
    names += [destination.destination for destination in business.destinations or ()]
    return dict.fromkeys(name for name in names if name)


def is_traceable(identifier: str) -> bool:
    """Whether goods so named can be followed: a lot or a single thing, not a bare product class."""
    found = recognise(identifier)
    return found.level in (Level.INSTANCE, Level.OTHER) or found.scheme == "lgtin"
