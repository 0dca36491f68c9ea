"""A recall as one thing: what it has to reach, what of that is done, and what ought to be."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, StrEnum

from chassis.money import Money


class EntryKind(IntEnum):
    """What a recall has to do, in the order in which it is listed."""

    LOT = 1
    STOCK = 2
    MENU_ITEM = 3
    ORDER = 4
    REFUND = 5
    GUEST = 6
    VENUE = 7
    HOLDER = 8


class EntryState(IntEnum):
    """FAILED: given up, so that only a person can see to it."""

    OUTSTANDING = 1
    DONE = 2
    FAILED = 3


class RecallState(StrEnum):
    """RUNNING while something is outstanding; RELEASED when it was ended; DRILL when only thought through."""

    RUNNING = "RUNNING"
    COMPLETE = "COMPLETE"
    RELEASED = "RELEASED"
    DRILL = "DRILL"


DEADLINES: Mapping[EntryKind, timedelta] = {
    EntryKind.LOT: timedelta(seconds=10),
    EntryKind.STOCK: timedelta(seconds=10),
    EntryKind.MENU_ITEM: timedelta(seconds=30),
    EntryKind.ORDER: timedelta(minutes=2),
    EntryKind.REFUND: timedelta(minutes=5),
    EntryKind.GUEST: timedelta(minutes=15),
    EntryKind.VENUE: timedelta(minutes=15),
    EntryKind.HOLDER: timedelta(minutes=15),
}
"""How long after its begin a recall should be done with each kind."""


@dataclass(frozen=True, slots=True)
class Count:
    """How many there are of a kind; what is neither done nor failed is outstanding."""

    expected: int = 0
    done: int = 0
    failed: int = 0

    @property
    def outstanding(self) -> int:
        return self.expected - self.done - self.failed


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a recall is with one kind."""

    kind: EntryKind
    count: Count
    deadline: timedelta
    stalled: bool


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing that a recall has to do.

    Args:
        entry_id: of what the kind names.
        venue_id: that it belongs to; empty for none.
    """

    kind: EntryKind
    entry_id: str
    state: EntryState
    venue_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """The recall as it was called.

    Args:
        recall_id: empty in a drill.
        root_lot_id: empty while only its effects were heard of, as is `begun_at` None.
        position: the state of knowledge when it was heard of.
        released_at: when it was ended for the last of its lots; None while one is recalled.
        root_released_at: when it was ended for its root.
    """

    recall_id: str
    root_lot_id: str = ""
    recall_class: str = ""
    reason: str = ""
    begun_at: datetime | None = None
    position: int | None = None
    released_at: datetime | None = None
    root_released_at: datetime | None = None

    @property
    def drill(self) -> bool:
        return not self.recall_id

    @property
    def open(self) -> bool:
        """Whether what the lot reached is still expected to be dealt with."""
        return self.root_released_at is None and bool(self.root_lot_id)


@dataclass(frozen=True, slots=True)
class Recall:
    """A recall with its progress; that is empty in lists."""

    call: Call
    progress: tuple[Progress, ...] = ()
    refunded: tuple[Money, ...] = ()

    @property
    def state(self) -> RecallState:
        if self.call.drill:
            return RecallState.DRILL
        if self.call.released_at is not None:
            return RecallState.RELEASED
        # What it reached is known only once the call itself was heard of.
        known = bool(self.call.root_lot_id) and bool(self.progress)
        if known and not any(each.count.outstanding for each in self.progress):
            return RecallState.COMPLETE
        return RecallState.RUNNING

    @property
    def stalled(self) -> bool:
        return any(each.stalled for each in self.progress)

    @property
    def at_rest(self) -> bool:
        """Whether there is nothing to wait for."""
        return self.state is not RecallState.RUNNING


def progress_of(
    call: Call, counts: Mapping[EntryKind, Count], deadlines: Mapping[EntryKind, timedelta], now: datetime
) -> tuple[Progress, ...]:
    """Every kind in its order, also those of which there is nothing; late ones stall unless it was ended."""
    age = now - call.begun_at if call.begun_at and call.released_at is None else timedelta(0)
    return tuple(
        Progress(kind, count, deadlines[kind], bool(count.outstanding) and age > deadlines[kind])
        for kind in EntryKind
        for count in [counts.get(kind, Count())]
    )
