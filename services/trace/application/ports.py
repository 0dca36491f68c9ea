"""What the use cases need of the outside world."""

from collections.abc import Sequence
from datetime import datetime
from typing import Protocol

from services.trace.domain.answers import LotTrace, OrderTrace
from services.trace.domain.facts import Fact
from services.trace.domain.scope import Place, RecallScope, ScopeEntry, ScopeKind


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

    async def order(self, order_id: str) -> OrderTrace | None:
        """None when nobody has mentioned the order."""
        ...

    async def lot(self, lot_id: str) -> LotTrace | None:
        """None when nobody has mentioned the lot."""
        ...


class ScopeReader(Protocol):
    """What a lot reached, as of a position: a state of knowledge that later news do not change."""

    async def present(self) -> int:
        """The newest position of which everything is known."""
        ...

    async def newest(self) -> int:
        """The newest position of which anything is known; not below any that `present` gave."""
        ...

    async def summary(self, lot_id: str, position: int) -> RecallScope | None:
        """None when nobody has mentioned the lot."""
        ...

    async def entries(
        self, lot_id: str, position: int, kinds: Sequence[ScopeKind], after: Place | None, limit: int
    ) -> Sequence[ScopeEntry] | None:
        """At most `limit` entries of these kinds behind a place; None when nobody has mentioned the lot."""
        ...
