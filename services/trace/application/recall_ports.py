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

    async def heard(self, recall_id: str) -> int | None:
        """A number that rises with all that is heard of it; None when nobody has mentioned it."""
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


class RecallRounds(Protocol):
    """Remembers which recalls need not be looked at."""

    async def heard(self, recall_id: str) -> int | None:
        """As of `RecallReader`."""
        ...

    async def to_look_at(self, limit: int) -> Sequence[str]:
        """The newest of those that go on and are not settled, and the one that was settled longest ago."""
        ...

    async def settle(self, recall_id: str, heard: int, at: datetime | None) -> None:
        """It was complete then, None for not, when so much was heard of it; nothing if that is more now."""
        ...


class Watcher(Protocol):
    """Waits for news."""

    async def wait(self, timeout_s: float) -> bool:
        """Whether there are any."""
        ...


class RecallNews(Protocol):
    """Says when something was heard of a recall."""

    def watch(self, recall_id: str) -> AbstractContextManager[Watcher]: ...
