"""Traceability records: the key data elements of each critical tracking event, by 21 CFR part 1 subpart S.

One entry of the journal gives one row. What went into a transformation and what came out of it are rows of
their own that share a transformation_id, so that a table sorted by it shows them together.

What was declared wrong, or voided, stays a row and says so. Records are to be kept as they were made
(1.1455(a)), the sheet is held against papers that carry what was told first, and a row that is missing
answers no question, while one that is marked can be sorted out.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Final

from services.trace.domain.journal import Entry, EntryKind

# The rule's data elements, behind what ties the rows to the ledger.
COLUMNS: Final = (
    "critical_tracking_event",
    "cfr_section",
    "event_time",
    "event_id",
    "lot_id",
    "transformation_id",
    "voided",
    "corrected",
    "tlc",
    "tlc_source_location_or_reference",
    "product_description",
    "commodity",
    "quantity",
    "uom",
    "harvest_date",
    "farm_location",
    "field_or_growing_area",
    "harvester_name",
    "cooling_location",
    "cooling_date",
    "packing_location",
    "packing_date",
    "received_date",
    "received_quantity",
    "received_uom",
    "ship_from_location",
    "ship_to_location",
    "ship_date",
    "immediate_previous_source_location",
    "receiving_location",
    "immediate_subsequent_recipient_location",
    "transformation_location",
    "date_completed",
    "input_tlc",
    "input_product_description",
    "input_quantity",
    "input_uom",
    "reference_document_type",
    "reference_document_number",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedLot:
    """What a row says of its lot besides the event.

    Args:
        origin: of its minting: farm, field, city, region, country, gln.
        next_place: where its first shipment that stands went.
    """

    lot_code: str
    product_code: str
    harvest_time: datetime | None
    origin: Mapping[str, str]
    next_place: str


@dataclass(frozen=True, slots=True)
class Selection:
    """What is recorded: of these lots, or of all, in a range of event times.

    Args:
        lot_ids: None is every lot.
        start, end: from the first on, until before the second; None is without limit.
    """

    lot_ids: tuple[str, ...] | None
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """An entry of the journal with what its row needs besides.

    Args:
        party_name: of a venue.
        voided: the shipment did not take place after all.
    """

    entry: Entry
    lot: RecordedLot
    party_name: str
    voided: bool


Row = dict[str, str]


def row_of(record: Record) -> Row | None:
    """The columns that have a value; None when the entry is no critical tracking event.

    A lot that a transformation made has its row from the transformation. An observation counts when it is
    cooling before packing.
    """
    entry = record.entry
    if entry.kind is EntryKind.MINTED and entry.reference:
        return None
    if entry.kind is EntryKind.OBSERVED and not entry.detail.get("cooling"):
        return None
    event, section, data = _ROWS[entry.kind](record)
    row = {
        "critical_tracking_event": event,
        "cfr_section": section,
        "event_time": _local(entry.at, entry.utc_offset).isoformat(),
        "event_id": entry.event_id,
        "lot_id": entry.lot_id,
        "voided": "yes" if record.voided else "",
        "corrected": "yes" if entry.declared_wrong else "",
        "reference_document_type": "; ".join(kind for kind, _ in entry.documents if kind),
        "reference_document_number": "; ".join(number for _, number in entry.documents),
        **data,
    }
    return {column: value for column, value in row.items() if value}


_Row = tuple[str, str, Row]


def _minted(record: Record) -> _Row:
    entry, lot = record.entry, record.lot
    if entry.other_id:
        made = {**_tlc(record), **_quantity(entry), "transformation_id": entry.lot_id}
        made |= {"date_completed": _date(entry), "transformation_location": _place(record)}
        return "transformation", "1.1350(a)", made
    return (
        "harvesting",
        "1.1325(a)",
        {
            **_harvest(lot),
            **_quantity(entry),
            "commodity": lot.product_code,
            "immediate_subsequent_recipient_location": lot.next_place,
        },
    )


def _cooled(record: Record) -> _Row:
    entry, lot = record.entry, record.lot
    return (
        "cooling",
        "1.1325(b)",
        {
            **_quantity(entry),
            "commodity": lot.product_code,
            "cooling_location": _place(record),
            "cooling_date": _date(entry),
            "farm_location": _farm(lot),
            "immediate_subsequent_recipient_location": lot.next_place,
        },
    )


def _input(record: Record) -> _Row:
    entry, lot = record.entry, record.lot
    if entry.detail.get("step") == "INITIAL_PACK":
        packed = {
            **_harvest(lot),
            **_named(entry, "received_quantity", "received_uom"),
            "commodity": lot.product_code,
            "harvester_name": lot.origin.get("farm", ""),
            "packing_location": _place(record),
            "packing_date": _date(entry),
            "transformation_id": entry.reference,
        }
        return "initial_packing", "1.1330(a)", packed
    used = {
        **_named(entry, "input_quantity", "input_uom"),
        "input_tlc": lot.lot_code,
        "input_product_description": lot.product_code,
        "transformation_id": entry.reference,
        "transformation_location": _place(record),
        "date_completed": _date(entry),
    }
    return "transformation", "1.1350(a)", used


def _output(record: Record) -> _Row:
    entry = record.entry
    made = {**_tlc(record), **_quantity(entry), "transformation_id": entry.reference}
    if entry.detail.get("step") == "INITIAL_PACK":
        made |= {"packing_location": _place(record), "packing_date": _date(entry)}
        return "initial_packing", "1.1330(a)", made
    made |= {"transformation_location": _place(record), "date_completed": _date(entry)}
    return "transformation", "1.1350(a)", made


def _shipped(record: Record) -> _Row:
    entry = record.entry
    data = {
        **_tlc(record),
        **_quantity(entry),
        "ship_from_location": _place(record),
        "ship_to_location": entry.biz_location or _party(entry.other_id),
        "ship_date": _date(entry),
    }
    return "shipping", "1.1340(a)", data


def _arrived(record: Record) -> _Row:
    entry = record.entry
    data = {
        **_tlc(record),
        **_quantity(entry),
        "immediate_previous_source_location": _party(entry.other_id),
        "receiving_location": _place(record),
        "received_date": _date(entry),
    }
    return "receiving", "1.1345(a)", data


_ROWS: Final[Mapping[EntryKind, Callable[[Record], _Row]]] = {
    EntryKind.MINTED: _minted,
    EntryKind.SPLIT_OFF: _input,
    EntryKind.USED: _input,
    EntryKind.MADE: _output,
    EntryKind.OBSERVED: _cooled,
    EntryKind.SHIPPED: _shipped,
    EntryKind.ARRIVED: _arrived,
    EntryKind.RECEIVED: _arrived,
}


def _harvest(lot: RecordedLot) -> Row:
    harvested = lot.harvest_time.date().isoformat() if lot.harvest_time else ""
    return {
        "harvest_date": harvested,
        "farm_location": _farm(lot),
        "field_or_growing_area": lot.origin.get("field", ""),
    }


def _tlc(record: Record) -> Row:
    lot = record.lot
    return {
        "tlc": lot.lot_code,
        "product_description": lot.product_code,
        "tlc_source_location_or_reference": _farm(lot),
    }


def _quantity(entry: Entry) -> Row:
    return _named(entry, "quantity", "uom")


def _named(entry: Entry, amount: str, unit: str) -> Row:
    return {amount: entry.quantity.text, unit: entry.quantity.unit} if entry.quantity else {}


def _farm(lot: RecordedLot) -> str:
    parts = [lot.origin.get(name, "") for name in ("farm", "city", "region", "country")]
    gln = lot.origin.get("gln")
    return ", ".join([*filter(None, parts), *([f"GLN {gln}"] if gln else [])])


def _place(record: Record) -> str:
    """Where it happened; else where the goods are afterwards; else who did it."""
    entry = record.entry
    return entry.read_point or entry.biz_location or record.party_name or _party(entry.party_id)


def _party(party_id: str) -> str:
    return f"party {party_id}" if party_id else ""


def _date(entry: Entry) -> str:
    return _local(entry.at, entry.utc_offset).date().isoformat()


def _local(at: datetime, offset: str) -> datetime:
    """The time of the place; as it is when the offset is none."""
    if _OFFSET.fullmatch(offset) is None:
        return at
    sign = -1 if offset[0] == "-" else 1
    away = sign * timedelta(hours=int(offset[1:3]), minutes=int(offset[4:]))
    try:
        return at.astimezone(timezone(away))
    except OverflowError:  # at the ends of the calendar
        return at


_OFFSET: Final = re.compile(r"[+-](0[0-9]|1[0-4]):[0-5][0-9]")
_DANGEROUS: Final = tuple("=+-@\t\r\n")


def neutral(text: str) -> str:
    """A cell's text that no spreadsheet takes for a formula; control characters become blanks."""
    plain = "".join(character if character.isprintable() else " " for character in text)
    return f"'{plain}" if text.startswith(_DANGEROUS) or plain.lstrip().startswith(_DANGEROUS) else plain
