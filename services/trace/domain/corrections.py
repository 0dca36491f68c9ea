"""What holds when entries of the journal are declared wrong."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from decimal import Decimal

from chassis.quantity import Quantity
from services.trace.domain.journal import CORRECTIVES, Entry, EntryKind


def standing(entries: Sequence[Entry]) -> list[Entry]:
    """The entries without those that were declared wrong.

    A lot stays minted: what was wrong of its minting is put right by quantity. What a correction names as
    right takes the reference of what was wrong, where it is of the same kind and has none: an arrival that is
    told again belongs to the shipment that has ended by the first telling.
    """
    wrong = {entry.event_id: entry for entry in entries if entry.declared_wrong}
    instead = {
        right: wrong[entry.reference]
        for entry in entries
        if entry.kind is EntryKind.CORRECTED and entry.reference in wrong
        for right in entry.detail.get(CORRECTIVES, "").split()
    }
    found = []
    for entry in entries:
        if entry.declared_wrong and entry.kind is not EntryKind.MINTED:
            continue
        before = instead.get(entry.event_id)
        again = before is not None and before.kind is entry.kind and not entry.reference
        found.append(replace(entry, reference=before.reference) if before and again else entry)
    return found


def put_right(entry: Entry, history: Iterable[Entry]) -> Entry:
    """What went into a transformation or came out of it, by what corrections say that the lot held instead.

    One without a quantity says that the amount was right.

    Args:
        history: of the entry's lot, as recorded one after the other.
    """
    if not entry.declared_wrong or entry.quantity is None:
        return entry
    more = _changes(history).get(entry.event_id)
    if more is None or not entry.quantity.comparable(more[1]):
        return entry
    amount, unit = more
    # A lot that holds more than was said gave less, or was made larger.
    right = entry.quantity.to(unit).amount + (amount if entry.kind is EntryKind.MADE else -amount)
    return replace(entry, quantity=Quantity.of(str(max(right, Decimal(0))), unit))


def _changes(history: Iterable[Entry]) -> dict[str, tuple[Decimal, str]]:
    """By how much more the lot holds because an event of it was wrong, by the event's id."""
    found: dict[str, tuple[Decimal, str]] = {}
    corrects: dict[str, str] = {}
    stated, unit = Decimal(0), ""
    for entry in history:
        wrong = corrects.get(entry.reference, entry.reference)
        if entry.kind is EntryKind.CORRECTED:
            # A correction of a correction says once more what is right of the event.
            corrects[entry.event_id] = wrong
        told = entry.remaining or (None if unit or entry.kind is not EntryKind.MINTED else entry.quantity)
        if told is None or (unit and not told.comparable(unit)):
            continue
        held = told.to(unit or told.unit).amount
        if unit and entry.kind is EntryKind.CORRECTED:
            before, _ = found.get(wrong, (Decimal(0), unit))
            found[wrong] = (before + held - stated, unit)
        stated, unit = held, unit or told.unit
    return found
