"""What the use cases need of the outside world."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import datetime
from typing import Protocol

from services.trace.domain.answers import LotTrace, OrderTrace
from services.trace.domain.facts import Fact
from services.trace.domain.gaps import Origins
from services.trace.domain.journal import Entry, Reading
from services.trace.domain.records import Record, Selection
from services.trace.domain.reports import Ways
from services.trace.domain.scope import Place, RecallScope, ScopeEntry, ScopeKind


class GraphWriter(Protocol):
    """The side that learns."""

    async def add(
        self, facts: Sequence[Fact], entries: Sequence[Entry], readings: Sequence[Reading], newest: datetime
    ) -> None:
        """Add facts, entries of the journal and readings, in the running transaction.

        Args:
            newest: when the newest of them was recorded by its service.
        """
        ...


class JournalReader(Protocol):
    """What happened to lots."""

    async def known(self, lot_id: str) -> bool:
        """Whether anybody has mentioned the lot."""
        ...

    async def lots_of(self, holder_id: str, after: str, limit: int) -> Sequence[str]:
        """Lots that a holder ever had, by id, behind one."""
        ...

    async def history(self, lot_ids: Sequence[str]) -> Mapping[str, Sequence[Entry]]:
        """What moved goods of these lots, as recorded one after another; what venues served is summed up."""
        ...

    async def transformations(self, ids: Sequence[str]) -> Mapping[str, Sequence[Entry]]:
        """What went into and came out of each."""
        ...

    async def descent(self, lot_id: str) -> Origins:
        """What a lot was made of."""
        ...

    async def ways(self, lot_id: str) -> Ways:
        """What partners who may speak for a lot said of its ways, its own and those of its units."""
        ...

    def readings(self, lot_id: str) -> AsyncGenerator[Reading]:
        """Temperatures of a lot's goods by their time: its own, its sources', and those of lots and units."""
        ...

    def records(self, selection: Selection) -> AsyncIterator[Sequence[Record]]:
        """Traceability records in pages, in the order of their times."""
        ...

    async def related(self, lot_ids: Sequence[str]) -> Sequence[str]:
        """These lots, the lots that they were made of, and those that were made of them."""
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
