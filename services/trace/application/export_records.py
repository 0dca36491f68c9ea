"""Hand out traceability records."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime

from chassis.errors import InvalidArgument, Violation
from services.trace.application.ports import JournalReader
from services.trace.application.trace_goods import unknown
from services.trace.domain.records import Row, Selection, row_of


class ExportRecords:
    """Rows of a sortable spreadsheet. They are about firms and lots; guests are not in them for anyone."""

    def __init__(self, journal: JournalReader) -> None:
        self._journal = journal

    async def select(
        self, lot_ids: Sequence[str], start: datetime | None, end: datetime | None, *, related: bool
    ) -> Selection:
        """What to hand out.

        Args:
            related: also the lots that these were made of, and those that were made of them.

        Raises:
            InvalidArgument: RANGE_INVALID, neither lots nor both ends of a range, or one that is empty.
            NotFound: LOT_NOT_FOUND.
        """
        if not lot_ids and (start is None or end is None):
            message = "Name lots, or the beginning and the end of a range of dates."
            raise InvalidArgument("RANGE_INVALID", message, violations=(Violation("lot_ids", message),))
        if start is not None and end is not None and end <= start:
            violation = Violation("end_time", "must be after start_time")
            raise InvalidArgument(
                "RANGE_INVALID", "The range ends before it begins.", violations=(violation,)
            )
        for lot_id in lot_ids:
            if not await self._journal.known(lot_id):
                raise unknown("lot", lot_id)
        chosen = tuple(await self._journal.related(lot_ids) if related and lot_ids else lot_ids)
        return Selection(chosen or None, start, end)

    async def rows(self, selection: Selection) -> AsyncGenerator[Sequence[Row]]:
        """The rows in pages, so that any number of them takes the room of one page."""
        async for page in self._journal.records(selection):
            yield [row for record in page if (row := row_of(record)) is not None]
