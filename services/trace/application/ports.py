"""What the use cases need of the outside world."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.trace.domain.answers import LotTrace, OrderTrace, RecallScope
from services.trace.domain.facts import Fact


class GraphWriter(Protocol):
    """The side that learns."""

    async def add(self, facts: Sequence[Fact], newest: datetime) -> None:
        """Add facts of one kind, in the running transaction.

        Args:
            newest: when the newest of them was recorded by its service.
        """
        ...


class GraphReader(Protocol):
    """The side that answers, each time from one snapshot of the graph."""

    async def recall_scope(self, lot_id: str) -> RecallScope | None:
        """None when nobody has mentioned the lot."""
        ...

    async def order(self, order_id: str) -> OrderTrace | None:
        """None when nobody has mentioned the order."""
        ...

    async def lot(self, lot_id: str) -> LotTrace | None:
        """None when nobody has mentioned the lot."""
        ...
