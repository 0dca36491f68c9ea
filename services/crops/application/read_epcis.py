"""Questions about captured events."""

from collections.abc import Sequence

from chassis.errors import NotFound
from services.crops.application.epcis_ports import (
    CapturedEvent,
    FindingFilter,
    RecordedFinding,
    VisibilityQueries,
)
from services.crops.domain.epcis.jsontext import Json
from services.crops.domain.epcis.query import parse_query


class ReadEpcis:
    """Whoever may read captured events may read all of them: provenance is no secret among partners."""

    def __init__(self, queries: VisibilityQueries) -> None:
        self._queries = queries

    async def get(self, event_id: str, error_declaration: bool) -> CapturedEvent:
        """An event, or the declaration that it was an error.

        Raises:
            NotFound: EPCIS_EVENT_NOT_FOUND.
        """
        found = await self._queries.get((event_id, error_declaration))
        if found is None:
            raise NotFound("EPCIS_EVENT_NOT_FOUND", "No such event was captured.")
        return found

    async def query(self, parameters: Json, after: int, limit: int) -> tuple[Sequence[CapturedEvent], bool]:
        """Events behind a position that meet all parameters, and whether there are more.

        Raises:
            InvalidArgument: EPCIS_INVALID or EPCIS_QUERY_UNSUPPORTED.
        """
        return await self._queries.query(parse_query(parameters), after, limit)

    async def findings(self, where: FindingFilter, after: int, limit: int) -> Sequence[RecordedFinding]:
        """Findings behind a number; a subject may be in any form."""
        return await self._queries.findings(where, after, limit)
