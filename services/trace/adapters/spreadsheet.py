"""Rows as a file that grows piece by piece: CSV as it goes, XLSX over a file on disk."""

import asyncio
import csv
import io
import tempfile
from collections.abc import AsyncIterator, Sequence
from typing import Protocol

import xlsxwriter  # type: ignore[import-untyped]

from services.trace.domain.records import COLUMNS, Row, neutral

_PIECE = 64 * 1024
# What a sheet of a workbook may hold, its heading included.
SHEET_ROWS = 1_048_576
_CELL = 32_000
_AMOUNTS = frozenset(column for column in COLUMNS if column.endswith("quantity"))


class Spreadsheet(Protocol):
    """Pieces of a file, in their order; an empty piece says that work goes on."""

    content_type: str
    file_name: str

    async def add(self, rows: Sequence[Row]) -> bytes:
        """The piece that these rows make."""
        ...

    def end(self) -> AsyncIterator[bytes]:
        """The rest."""
        ...

    def close(self) -> None:
        """Let go of what it holds, finished or not."""
        ...


class CsvFile:
    """RFC 4180, UTF-8."""

    content_type = "text/csv; charset=utf-8"
    file_name = "traceability.csv"

    def __init__(self) -> None:
        self._begun = False

    async def add(self, rows: Sequence[Row]) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out)
        if not self._begun:
            writer.writerow(COLUMNS)
            self._begun = True
        writer.writerows([neutral(row.get(column, "")) for column in COLUMNS] for row in rows)
        return out.getvalue().encode()

    async def end(self) -> AsyncIterator[bytes]:
        yield await self.add(())

    def close(self) -> None:
        """Nothing is held."""


class XlsxFile:
    """Office Open XML. Rows go to disk as they come, and the file can be told only when all are there."""

    content_type = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    file_name = "traceability.xlsx"

    def __init__(self, sheet_rows: int = SHEET_ROWS) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="greenledger-export-")
        self._path = f"{self._folder.name}/records.xlsx"
        options = {"constant_memory": True, "tmpdir": self._folder.name}
        self._book = xlsxwriter.Workbook(self._path, options)
        self._sheet_rows = sheet_rows
        self._sheets = 0
        self._next = sheet_rows

    async def add(self, rows: Sequence[Row]) -> bytes:
        await asyncio.to_thread(self._write, rows)
        return b""

    async def end(self) -> AsyncIterator[bytes]:
        await asyncio.to_thread(self._write, ())
        await asyncio.to_thread(self._book.close)
        with open(self._path, "rb") as file:  # noqa: ASYNC230 - a local file in pieces of 64 KiB
            while piece := file.read(_PIECE):
                yield piece

    def close(self) -> None:
        self._folder.cleanup()

    def _write(self, rows: Sequence[Row]) -> None:
        if not self._sheets:
            self._new_sheet()
        for row in rows:
            if self._next == self._sheet_rows:
                self._new_sheet()
            for index, column in enumerate(COLUMNS):
                text = row.get(column, "")
                if text and column in _AMOUNTS:
                    self._sheet.write_number(self._next, index, float(text))
                elif text:
                    self._sheet.write_string(self._next, index, neutral(text)[:_CELL])
            self._next += 1

    def _new_sheet(self) -> None:
        self._sheets += 1
        self._sheet = self._book.add_worksheet(f"Records {self._sheets}")
        self._sheet.freeze_panes(1, 0)
        for index, column in enumerate(COLUMNS):
            self._sheet.write_string(0, index, column)
        self._next = 1
