"""Take in what other services have said."""

from collections.abc import Sequence
from datetime import datetime

from services.trace.application.ports import GraphWriter
from services.trace.domain.facts import Fact
from services.trace.domain.journal import Entry, Reading


class Learn:
    """Adds facts to the graph and entries to the journal; the caller sees to it that each is added once."""

    def __init__(self, graph: GraphWriter) -> None:
        self._graph = graph

    async def __call__(
        self,
        facts: Sequence[Fact],
        newest: datetime,
        entries: Sequence[Entry] = (),
        readings: Sequence[Reading] = (),
    ) -> None:
        """Add facts and what goes with them, recorded at `newest` at the latest."""
        if facts or entries:
            await self._graph.add(facts, entries, readings, newest)
