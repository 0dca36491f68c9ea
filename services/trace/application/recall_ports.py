"""What following recalls needs of the outside world."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from chassis.money import Money
from services.trace.domain.recall import Call, Count, Entry, EntryKind


class RecallReader(Protocol):
    """What was heard of recalls, beside the graph of goods."""

    async def call(self, recall_id: str) -> Call | None:
        """None when nobody has mentioned it."""
        ...

    async def knows_lot(self, lot_id: str) -> bool: ...

    async def page(
        self, root_lot_id: str | None, open_only: bool, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Call]:
        """Recalls that began before (time, id), newest first."""
        ...

    async def progress(self, call: Call) -> tuple[Mapping[EntryKind, Count], Sequence[Money]]:
        """How much there is of each kind, and what guests were given back."""
        ...

    async def entries(
        self,
        call: Call,
        kinds: Sequence[EntryKind],
        outstanding_only: bool,
        after: tuple[EntryKind, str] | None,
        limit: int,
    ) -> Sequence[Entry]:
        """Entries behind one, by kind and id."""
        ...


class Watcher(Protocol):
    """Waits for news."""

    async def wait(self, timeout_s: float) -> bool:
        """Whether there are any."""
        ...


class RecallNews(Protocol):
    """Says when something was heard of a recall."""

    def watch(self, recall_id: str) -> AbstractContextManager[Watcher]: ...
