"""Plausibility of an event against what is known: bad real-world data is recorded and flagged, not refused.

Each rule is a pure function of the event's facts and a snapshot. Source: design of traceability,
FSMA 204 key data elements (21 CFR 1.1310 to 1.1350) for what must fit together.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from services.crops.domain.epcis.facts import EventFacts, Role, is_traceable
from services.crops.domain.epcis.gs1_keys import Flaw
from services.crops.domain.epcis.known import Known, amount, makes, uses_up

PARTIES_PER_BILL: Final = 2
"""A bill of lading has one shipper and one receiver."""
CLOCK_TOLERANCE: Final = timedelta(minutes=5)
"""How far a reader's clock may run ahead before its event counts as being in the future."""


class Severity(StrEnum):
    """How much a finding matters: INFO is a gap, WARNING is doubtful, ERROR cannot be true."""

    INFO = "INFO"
    WARNING = "WARNING"
    ERROR = "ERROR"


class FindingCode(StrEnum):
    """What does not fit, stable for programs."""

    QUANTITY_EXCEEDED = "QUANTITY_EXCEEDED"
    UNIT_MISMATCH = "UNIT_MISMATCH"
    UNIT_UNKNOWN = "UNIT_UNKNOWN"
    USED_BEFORE_EXISTENCE = "USED_BEFORE_EXISTENCE"
    USED_AFTER_END = "USED_AFTER_END"
    ORIGIN_UNKNOWN = "ORIGIN_UNKNOWN"
    BILL_OF_LADING_SHARED = "BILL_OF_LADING_SHARED"
    IDENTIFIER_MALFORMED = "IDENTIFIER_MALFORMED"
    CHECK_DIGIT_WRONG = "CHECK_DIGIT_WRONG"
    EVENT_IN_FUTURE = "EVENT_IN_FUTURE"
    TWO_PARENTS = "TWO_PARENTS"
    TRANSFORMATION_CYCLE = "TRANSFORMATION_CYCLE"
    SHIPPED_TWICE = "SHIPPED_TWICE"
    RECEIVED_UNSHIPPED = "RECEIVED_UNSHIPPED"
    SHIPMENT_OVERDUE = "SHIPMENT_OVERDUE"
    QUANTITY_DIFFERS = "QUANTITY_DIFFERS"
    MOVED_BEFORE_SHIPPED = "MOVED_BEFORE_SHIPPED"
    READING_IMPLAUSIBLE = "READING_IMPLAUSIBLE"
    SERVED_WHILE_BLOCKED = "SERVED_WHILE_BLOCKED"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that does not fit.

    Args:
        code: what.
        severity: how much it matters.
        event_id: the event that shows it.
        subject: canonical id of what it is about.
        explanation: one English sentence.
    """

    code: FindingCode
    severity: Severity
    event_id: str
    subject: str
    explanation: str


def findings(event: EventFacts, known: Known, record_time: datetime) -> tuple[Finding, ...]:
    """Everything that does not fit about an event.

    Args:
        event: the event in canonical terms.
        known: what was known before it (by event time) about what it names.
        record_time: when it is recorded, aware.
    """
    if event.declares_error:
        return ()
    found: dict[tuple[FindingCode, str], Finding] = {}
    for finding in _future(event, record_time):
        found[finding.code, finding.subject] = finding
    for rule in RULES:
        for finding in rule(event, known):
            found.setdefault((finding.code, finding.subject), finding)
    return tuple(found.values())


def _find(
    event: EventFacts, code: FindingCode, severity: Severity, subject: str, explanation: str
) -> Finding:
    return Finding(code, severity, event.event_id, subject, explanation)


def _future(event: EventFacts, record_time: datetime) -> Iterator[Finding]:
    ahead = event.event_time - record_time
    if ahead > CLOCK_TOLERANCE:
        text = f"the event is said to happen {ahead} after it was recorded"
        yield _find(event, FindingCode.EVENT_IN_FUTURE, Severity.ERROR, event.event_id, text)


def _identifiers(event: EventFacts, _: Known) -> Iterator[Finding]:
    for identifier in event.flawed:
        wrong_digit = identifier.flaw is Flaw.CHECK_DIGIT
        code = FindingCode.CHECK_DIGIT_WRONG if wrong_digit else FindingCode.IDENTIFIER_MALFORMED
        yield _find(event, code, Severity.WARNING, identifier.original, identifier.explanation)


def _quantities(event: EventFacts, known: Known) -> Iterator[Finding]:
    for good in event.goods:
        if good.instance or good.quantity is None:
            continue
        before = known.goods.get(good.id)
        balance = before.balance if before else None
        asked = amount(good)
        if asked is None:
            text = f"{good.quantity} {good.unit} cannot be compared with other quantities"
            yield _find(event, FindingCode.UNIT_UNKNOWN, Severity.INFO, good.id, text)
        elif balance is not None and not balance.comparable(asked.unit):
            text = f"{asked} was given where {balance} is known"
            yield _find(event, FindingCode.UNIT_MISMATCH, Severity.WARNING, good.id, text)
    yield from _exceeded(event, known)


def _exceeded(event: EventFacts, known: Known) -> Iterator[Finding]:
    made = {good.id for good in makes(event)}
    leaving = event.of(Role.SUBJECT) if event.biz_step == "shipping" else uses_up(event)
    left = {good.id: known.goods[good.id].balance for good in leaving if good.id in known.goods}
    for good in leaving:
        balance, asked = left.get(good.id), amount(good)
        comparable = balance is not None and asked is not None and balance.comparable(asked.unit)
        if good.instance or good.id in made or balance is None or asked is None or not comparable:
            continue
        if asked.exact <= balance.exact:
            left[good.id] = balance - asked
            continue
        text = f"{asked} leaves where {balance} is there"
        yield _find(event, FindingCode.QUANTITY_EXCEEDED, Severity.ERROR, good.id, text)


def _existence(event: EventFacts, known: Known) -> Iterator[Finding]:
    made = {good.id for good in makes(event)}
    for good in event.of(Role.SUBJECT, Role.CHILD, Role.INPUT):
        if good.id in made or not is_traceable(good.id):
            continue
        before = known.goods.get(good.id)
        if before is None:
            text = "nothing is known of it before this event"
            yield _find(event, FindingCode.ORIGIN_UNKNOWN, Severity.INFO, good.id, text)
        elif before.made_at is not None and event.event_time < before.made_at:
            text = f"used at {event.event_time.isoformat()}, made at {before.made_at.isoformat()}"
            yield _find(event, FindingCode.USED_BEFORE_EXISTENCE, Severity.ERROR, good.id, text)
        elif before.ended_at is not None and event.event_time > before.ended_at:
            text = f"used at {event.event_time.isoformat()}, ended at {before.ended_at.isoformat()}"
            yield _find(event, FindingCode.USED_AFTER_END, Severity.ERROR, good.id, text)


def _bills_of_lading(event: EventFacts, known: Known) -> Iterator[Finding]:
    for kind, bill in event.transactions:
        parties = event.parties | known.bill_parties.get(bill, frozenset())
        if kind == "bol" and len(parties) > PARTIES_PER_BILL:
            text = f"{len(parties)} firms use it: {', '.join(sorted(parties)[:5])}"
            yield _find(event, FindingCode.BILL_OF_LADING_SHARED, Severity.WARNING, bill, text)


def _parents(event: EventFacts, known: Known) -> Iterator[Finding]:
    if event.type != "AggregationEvent" or event.action != "ADD" or event.parent is None:
        return
    for good in event.of(Role.CHILD):
        others = known.parents.get(good.id, frozenset()) - {event.parent}
        if good.instance and others:
            text = f"it is put into {event.parent} and still is in {', '.join(sorted(others)[:5])}"
            yield _find(event, FindingCode.TWO_PARENTS, Severity.ERROR, good.id, text)


def _cycles(event: EventFacts, known: Known) -> Iterator[Finding]:
    inputs = frozenset(good.id for good in event.of(Role.INPUT))
    before = inputs.union(*(known.ancestors.get(good, frozenset()) for good in inputs))
    for good in event.of(Role.OUTPUT):
        if good.id in before and is_traceable(good.id):
            text = "it is its own ancestor: it went into what it is made of"
            yield _find(event, FindingCode.TRANSFORMATION_CYCLE, Severity.ERROR, good.id, text)


def _shipments(event: EventFacts, known: Known) -> Iterator[Finding]:
    if event.biz_step not in ("shipping", "receiving"):
        return
    for good in event.of(Role.SUBJECT):
        before = known.goods.get(good.id)
        if before is None or not is_traceable(good.id):
            continue
        if event.biz_step == "shipping" and before.in_transit not in (None, event.event_id):
            text = f"it was shipped by {before.in_transit} and nobody has received it since"
            yield _find(event, FindingCode.SHIPPED_TWICE, Severity.WARNING, good.id, text)
        if event.biz_step == "receiving" and before.in_transit is None:
            text = "it is received without having been shipped"
            yield _find(event, FindingCode.RECEIVED_UNSHIPPED, Severity.INFO, good.id, text)


RULES: Final[tuple[Callable[[EventFacts, Known], Iterator[Finding]], ...]] = (
    _identifiers,
    _quantities,
    _existence,
    _bills_of_lading,
    _parents,
    _cycles,
    _shipments,
)
"""Every rule that looks at one event."""


@dataclass(frozen=True, slots=True)
class OpenShipment:
    """A shipment that nobody has received: its event, what was shipped, and when."""

    event_id: str
    good: str
    shipped_at: datetime


def overdue(shipments: Iterable[OpenShipment], now: datetime, after: timedelta) -> tuple[Finding, ...]:
    """The gaps that only time shows: shipments that should have been received by now.

    Args:
        shipments: those without a receipt.
        now: aware.
        after: how long a shipment may take.
    """
    return tuple(
        Finding(
            FindingCode.SHIPMENT_OVERDUE,
            Severity.WARNING,
            shipment.event_id,
            shipment.good,
            f"shipped at {shipment.shipped_at.isoformat()} and not received within {after}",
        )
        for shipment in shipments
        if now - shipment.shipped_at > after
    )
