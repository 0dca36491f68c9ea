"""Take in what other services have said."""

from collections.abc import Sequence
from datetime import datetime

from services.trace.application.ports import GraphWriter
from services.trace.domain.facts import Fact


class Learn:
    """Adds facts to the graph; the caller sees to it that each is added once."""

    def __init__(self, graph: GraphWriter) -> None:
        self._graph = graph

    async def __call__(self, facts: Sequence[Fact], newest: datetime) -> None:
        """Add facts of one kind, recorded by their services at `newest` at the latest."""
        if facts:
            await self._graph.add(facts, newest)
