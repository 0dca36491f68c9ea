"""Rows of the sortable spreadsheet."""

import csv
import io
import json
from datetime import UTC, datetime
from typing import Any

import openpyxl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.quantity import Quantity
from chassis.testing.published import needs_published, published
from services.trace.adapters.spreadsheet import CsvFile, Spreadsheet, XlsxFile
from services.trace.domain.journal import Entry, EntryKind
from services.trace.domain.records import COLUMNS, Record, RecordedLot, Row, neutral, row_of

AT = datetime(2026, 6, 2, 3, tzinfo=UTC)
ORIGIN = {"farm": "Salinas", "field": "7", "country": "US", "gln": "4012345000009"}


def record(kind: EntryKind, *, voided: bool = False, **said: Any) -> Record:
    lot = RecordedLot(
        lot_code="LOT=1", product_code="romaine", harvest_time=AT, origin=ORIGIN, next_place="party shop"
    )
    values: dict[str, Any] = {
        "lot_id": "l",
        "event_id": "e",
        "kind": kind,
        "at": AT,
        "recorded": AT,
        "utc_offset": "-07:00",
        "quantity": Quantity.of("12.5", "KGM"),
        "party_id": "p",
        "other_id": "o",
        "reference": "r",
        "read_point": "4012345000016",
        "documents": (("BOL", "7"), ("PO", "8")),
    }
    return Record(entry=Entry(**values | said), lot=lot, party_name="", voided=voided)


def row(kind: EntryKind, **said: Any) -> Row:
    found = row_of(record(kind, **said))
    assert found is not None
    return found


def test_a_harvest_is_told_in_the_time_of_its_place() -> None:
    told = row(EntryKind.MINTED, other_id="", reference="")
    assert (told["critical_tracking_event"], told["cfr_section"]) == ("harvesting", "1.1325(a)")
    assert told["event_time"] == "2026-06-01T20:00:00-07:00"
    assert told["farm_location"] == "Salinas, US, GLN 4012345000009"
    assert told["immediate_subsequent_recipient_location"] == "party shop"
    assert (told["quantity"], told["uom"], told["commodity"]) == ("12.5", "KGM", "romaine")
    assert (told["reference_document_type"], told["reference_document_number"]) == ("BOL; PO", "7; 8")
    # The rule gives a lot code to packing and transformation, not to a harvest.
    assert "tlc" not in told


@pytest.mark.parametrize("offset", ["", "Z", "+99:99", "-7", "=1+1"])
def test_an_offset_that_is_none_leaves_the_time_as_it_is(offset: str) -> None:
    assert row(EntryKind.SHIPPED, utc_offset=offset)["event_time"] == "2026-06-02T03:00:00+00:00"


def test_the_ends_of_the_calendar_are_told() -> None:
    last = datetime.max.replace(tzinfo=UTC)
    assert row(EntryKind.SHIPPED, at=last, utc_offset="+02:00")["ship_date"] == "9999-12-31"


def test_shipping_and_receiving_name_both_ends() -> None:
    shipped = row(EntryKind.SHIPPED, voided=True)
    assert (shipped["ship_from_location"], shipped["ship_to_location"], shipped["ship_date"]) == (
        "4012345000016",
        "party o",
        "2026-06-01",
    )
    assert (shipped["tlc"], shipped["voided"]) == ("LOT=1", "yes")
    arrived = row(EntryKind.ARRIVED, read_point="")
    assert (arrived["receiving_location"], arrived["immediate_previous_source_location"]) == (
        "party p",
        "party o",
    )


def test_a_row_that_was_declared_wrong_says_so() -> None:
    assert row(EntryKind.ARRIVED, declared_wrong=True)["corrected"] == "yes"
    assert "corrected" not in row(EntryKind.ARRIVED)


def test_a_transformation_has_rows_for_what_went_in_and_what_came_out() -> None:
    used, made = row(EntryKind.USED), row(EntryKind.MADE)
    assert (used["input_tlc"], used["input_quantity"], used["transformation_id"]) == ("LOT=1", "12.5", "r")
    assert "tlc" not in used
    assert (made["tlc"], made["quantity"], made["transformation_id"]) == ("LOT=1", "12.5", "r")
    assert row_of(record(EntryKind.MINTED)) is None
    packed = row(EntryKind.USED, detail={"step": "INITIAL_PACK"})
    assert (packed["critical_tracking_event"], packed["received_quantity"]) == ("initial_packing", "12.5")
    part = row(EntryKind.MINTED, reference="", other_id="parent")
    assert (part["critical_tracking_event"], part["transformation_id"]) == ("transformation", "l")


def test_only_cooling_is_an_event_of_those_observed() -> None:
    assert row_of(record(EntryKind.OBSERVED)) is None
    cooled = row(EntryKind.OBSERVED, detail={"cooling": "yes"}, quantity=None)
    assert (cooled["cooling_location"], cooled["cooling_date"]) == ("4012345000016", "2026-06-01")


def test_every_row_stays_within_the_columns() -> None:
    for kind in (EntryKind.MINTED, EntryKind.SPLIT_OFF, EntryKind.USED, EntryKind.MADE, EntryKind.SHIPPED):
        for step in ("", "INITIAL_PACK"):
            told = row_of(record(kind, reference="", detail={"step": step, "cooling": "yes"}))
            assert told is not None
            assert told.keys() <= set(COLUMNS)


@needs_published
def test_the_columns_are_named_as_the_rule_names_its_data_elements() -> None:
    rules = json.loads(published("fsma204/kde_by_cte.json").read_text())["cte"]
    events = ("harvesting", "cooling", "shipping", "receiving", "transformation")
    named = {
        element.rstrip("?").partition("=")[0]
        for event in events
        for part in ("kde", "inputs", "outputs")
        for element in rules[event].get(part, ())
    }
    # Nothing here knows varieties or waters; where a lot code came from is one column.
    assert named - set(COLUMNS) <= {"variety", "aquaculture_container", "tlc_source_reference"}


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\t=1", " =1", "\r=1"])
def test_what_a_spreadsheet_would_take_for_a_formula_is_made_harmless(text: str) -> None:
    assert neutral(text).startswith("'")


@given(st.text())
def test_no_text_begins_a_formula_or_a_line(text: str) -> None:
    made = neutral(text)
    assert not made.lstrip().startswith(("=", "+", "-", "@"))
    assert made.isprintable()


ROWS: list[Row] = [
    {"tlc": "=HYPERLINK()", "quantity": "12.5", "farm_location": 'A "b", c'},
    {"tlc": "second", "reference_document_number": "Ä\n7"},
    {"tlc": "third"},
]
TOLD = [
    ["'=HYPERLINK()", "12.5", 'A "b", c', ""],
    ["second", "", "", "Ä 7"],
    ["third", "", "", ""],
]
SHOWN = ("tlc", "quantity", "farm_location", "reference_document_number")


async def whole(file: Spreadsheet) -> bytes:
    pieces = [await file.add(ROWS[:2]), await file.add(ROWS[2:])]
    return b"".join([*pieces, *[piece async for piece in file.end()]])


async def test_the_csv_file_reads_back() -> None:
    heading, *rows = csv.reader(io.StringIO((await whole(CsvFile())).decode(), newline=""))
    assert tuple(heading) == COLUMNS
    assert [[cells[COLUMNS.index(column)] for column in SHOWN] for cells in rows] == TOLD


async def test_the_workbook_reads_back_and_goes_on_in_another_sheet() -> None:
    file = XlsxFile(sheet_rows=3)
    book = openpyxl.load_workbook(io.BytesIO(await whole(file)))
    file.close()
    assert book.sheetnames == ["Records 1", "Records 2"]
    read = []
    for sheet in book.worksheets:
        heading, *rows = sheet.iter_rows(values_only=True)
        assert heading == COLUMNS
        read += rows
    assert [[str(cells[COLUMNS.index(column)] or "") for column in SHOWN] for cells in read] == TOLD
    assert all(cell.data_type != "f" for sheet in book for cells in sheet for cell in cells)


async def test_an_export_without_rows_has_its_heading() -> None:
    for file in (CsvFile(), XlsxFile()):
        data = b"".join([piece async for piece in file.end()])
        assert data
        file.close()
    assert b"tlc" in b"".join([piece async for piece in CsvFile().end()])
