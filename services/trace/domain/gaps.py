"""Gaps in a lot's history: what should have been told and was not, and what cannot have been so."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from services.trace.domain.corrections import standing
from services.trace.domain.findings import Finding, FindingCode
from services.trace.domain.journal import Entry, EntryKind
from services.trace.domain.reports import Ways

UNRECEIVED_AFTER: Final = timedelta(days=3)
_LATER: Final = frozenset(
    {EntryKind.SHIPPED, EntryKind.ARRIVED, EntryKind.USED, EntryKind.RECEIVED, EntryKind.CONSUMED}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origins:
    """What a lot was made of.

    Args:
        sources: the lots that it was made of, as far as it is known when they came to be.
        own_ancestor: whether its descent leads back to itself.
        expire_time: of the lot itself, where it is known.
    """

    sources: Mapping[str, datetime]
    own_ancestor: bool
    expire_time: datetime | None


def gaps(
    lot_id: str,
    entries: Sequence[Entry],
    descent: Origins,
    *,
    now: datetime,
    unreceived_after: timedelta = UNRECEIVED_AFTER,
    ways: Ways | None = None,
) -> list[Finding]:
    """Everything that is missing or cannot be.

    Args:
        entries: of the lot, as recorded one after the other; those that were declared wrong do not count.
        unreceived_after: from when on a shipment that did not arrive is one too old; default 3 days.
        ways: what partners said of the lot's ways; default nothing. It answers no gap in what we say
            ourselves, or else who sent goods could report their arrival.
    """
    entries = standing(entries)
    found = [
        *_origin(lot_id, entries, descent.sources),
        *_shipments(lot_id, entries, now - unreceived_after),
        *_reported(lot_id, ways or Ways(), now - unreceived_after),
        *_owners(lot_id, entries),
        *_expired(lot_id, entries, descent.expire_time, now),
    ]
    if descent.own_ancestor:
        message = "The lot is told to be made of itself."
        found.append(Finding(code=FindingCode.OWN_ANCESTOR, lot_id=lot_id, message=message))
    return found


def _origin(lot_id: str, entries: Sequence[Entry], sources: Mapping[str, datetime]) -> Iterator[Finding]:
    minted = next((entry for entry in entries if entry.kind is EntryKind.MINTED), None)
    if minted is None:
        message = "Nobody said where the lot came from."
        yield Finding(code=FindingCode.ORIGIN_UNKNOWN, lot_id=lot_id, message=message)
        return
    for entry in entries:
        if entry.kind in _LATER and entry.at < minted.at:
            yield Finding(
                code=FindingCode.BEFORE_IT_EXISTED,
                lot_id=lot_id,
                party_id=entry.party_id,
                reference=entry.reference or entry.event_id,
                message=f"It is told to have been {entry.kind.value} before it was there.",
                at=entry.at,
            )
    for source, at in sources.items():
        if minted.at < at:
            yield Finding(
                code=FindingCode.BEFORE_IT_EXISTED,
                lot_id=lot_id,
                reference=source,
                message="It is told to be made of a lot that was not there yet.",
                at=minted.at,
            )


def _shipments(lot_id: str, entries: Sequence[Entry], overdue: datetime) -> Iterator[Finding]:
    shipped = _by_reference(entries, EntryKind.SHIPPED)
    voided = _by_reference(entries, EntryKind.VOIDED)
    arrived = _by_reference(entries, EntryKind.ARRIVED)
    for reference, entry in shipped.items():
        if entry.at < overdue and reference not in arrived and reference not in voided:
            yield Finding(
                code=FindingCode.SHIPPED_NOT_RECEIVED,
                lot_id=lot_id,
                party_id=entry.other_id,
                reference=reference,
                message="It was shipped and nobody said that it arrived.",
                at=entry.at,
            )
    for entry in entries:
        if entry.kind is EntryKind.ARRIVED and (not entry.reference or entry.reference not in shipped):
            yield Finding(
                code=FindingCode.RECEIVED_NOT_SHIPPED,
                lot_id=lot_id,
                party_id=entry.party_id,
                reference=entry.reference or entry.event_id,
                message="It arrived and nobody said that it was shipped.",
                at=entry.at,
            )
    for reference, there in arrived.items():
        sent = shipped.get(reference)
        if reference and sent and sent.quantity and there.quantity:
            yield from _differs(sent, there)


def _reported(lot_id: str, ways: Ways, overdue: datetime) -> Iterator[Finding]:
    late = [way for way in ways.open if way.at < overdue]
    for code, message, found in (
        (FindingCode.SHIPPED_NOT_RECEIVED, "Partners shipped it and nobody said that it arrived.", late),
        (
            FindingCode.RECEIVED_NOT_SHIPPED,
            "Partners said that it arrived and nobody said that it was shipped.",
            ways.unannounced,
        ),
    ):
        for way in found:
            yield Finding(
                code=code,
                lot_id=lot_id,
                party_id=way.party_id,
                reference=way.event_id,
                message=message,
                at=way.at,
                by_partners_only=True,
            )


def _differs(sent: Entry, there: Entry) -> Iterator[Finding]:
    assert sent.quantity is not None
    assert there.quantity is not None
    alike = there.quantity.comparable(sent.quantity.unit)
    difference = there.quantity.to(sent.quantity.unit).amount - sent.quantity.amount if alike else None
    if difference != 0:
        yield Finding(
            code=FindingCode.SHIPMENT_DIFFERS,
            lot_id=sent.lot_id,
            party_id=there.party_id,
            reference=sent.reference,
            message=f"{sent.quantity} were shipped and {there.quantity} arrived.",
            difference=difference,
            unit=sent.quantity.unit if difference is not None else "",
            at=there.at,
        )


def _who_had_it(entries: Iterable[Entry]) -> set[str]:
    found, owner = set(), ""
    for entry in entries:
        match entry.kind:
            case EntryKind.MINTED:
                owner = owner or entry.party_id
                found.add(entry.party_id)
            case EntryKind.OWNED:
                owner = entry.party_id
                found.add(entry.detail.get("custodian_id", ""))
            case EntryKind.CUSTODY | EntryKind.ARRIVED:
                found.add(entry.party_id)
            case EntryKind.RECEIVED:
                # Into the stock of a venue of the owner's.
                found.add(owner)
            case _:
                pass
    return found


def _owners(lot_id: str, entries: Sequence[Entry]) -> Iterator[Finding]:
    evident = _who_had_it(entries)
    for entry in entries:
        if entry.kind is EntryKind.OWNED and entry.party_id not in evident:
            yield Finding(
                code=FindingCode.OWNER_WITHOUT_CUSTODY,
                lot_id=lot_id,
                party_id=entry.party_id,
                message="It changed its owner, and nobody said that the goods came to the new one.",
                at=entry.at,
            )


def _expired(
    lot_id: str, entries: Sequence[Entry], expire_time: datetime | None, now: datetime
) -> Iterator[Finding]:
    held: dict[str, Decimal] = {}
    units: dict[str, str] = {}
    expires: dict[str, datetime] = {}
    for entry in entries:
        if entry.kind not in (EntryKind.RECEIVED, EntryKind.CONSUMED) or not entry.quantity:
            continue
        venue = entry.party_id
        unit = units.setdefault(venue, entry.quantity.unit)
        if not entry.quantity.comparable(unit):
            continue
        amount = entry.quantity.to(unit).amount
        held[venue] = held.get(venue, Decimal(0)) + (amount if entry.kind is EntryKind.RECEIVED else -amount)
        text = entry.detail.get("expire_time")
        told = datetime.fromisoformat(text) if text else expire_time
        if told is not None:
            expires[venue] = min(told, expires.get(venue, told))
    for venue, left in held.items():
        if left > 0 and venue in expires and expires[venue] < now:
            yield Finding(
                code=FindingCode.EXPIRED_IN_STOCK,
                lot_id=lot_id,
                party_id=venue,
                message="It is past its date and still in stock.",
                difference=left,
                unit=units[venue],
                at=expires[venue],
            )


def _by_reference(entries: Iterable[Entry], kind: EntryKind) -> dict[str, Entry]:
    return {entry.reference: entry for entry in entries if entry.kind is kind and entry.reference}
