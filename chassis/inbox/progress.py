"""How far a partition is finished, and what happened to the order of its keys."""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass, field
from datetime import datetime

_MOST_WATCHED = 100_000
_NOT_YET, _UNKNOWN = (
    -1,
    -2,
)  # the first event of a watched key in this pass: none so far; came before we watched


@dataclass(slots=True, eq=False)
class PartitionProgress:
    """One pass over one partition, from assignment or rewind to revocation or the next rewind.

    Offsets finish out of order; what may be committed is the lowest that is not finished.
    """

    topic: str
    partition: int
    revoked: bool = False
    recorded_at: datetime | None = None
    _arrived: deque[int] = field(default_factory=deque)
    _finished: set[int] = field(default_factory=set)
    _next: int | None = None
    _committed: int | None = None
    end: int | None = None

    def arrive(self, offset: int) -> None:
        """A record was taken from the broker; in ascending order."""
        self._arrived.append(offset)
        self.end = None

    def finish(self, offset: int) -> None:
        """Its effect is committed."""
        self._finished.add(offset)
        while self._arrived and self._arrived[0] in self._finished:
            self._finished.discard(self._arrived[0])
            self._next = self._arrived.popleft() + 1

    def reach_end(self, offset: int) -> None:
        """Nothing lies before `offset` that has not arrived (transaction markers never arrive)."""
        self.end = offset

    @property
    def unfinished(self) -> int:
        """Records that arrived and are not finished."""
        return len(self._arrived) - len(self._finished)

    @property
    def next_offset(self) -> int | None:
        """Where another consumer would have to go on; None before anything finished."""
        return self.end if self.end is not None and not self._arrived else self._next

    def uncommitted(self) -> int | None:
        """The offset to commit, if it has moved since `committed`."""
        offset = self.next_offset
        return None if offset == self._committed else offset

    def committed(self, offset: int) -> None:
        """Note a commit."""
        self._committed = offset


@dataclass(slots=True)
class GapPolicy:
    """What to do when an event arrives ahead of its turn, per partition.

    The outbox numbers the events of a key without gaps and the relay sends them in order, so a gap
    means that this consumer's position skipped records: the broker was emptied and refilled beyond
    it, or an offset was committed by mistake. The records are still there, only behind us. So the
    event is not applied, its offset stays unfinished, and the partition is read again from its
    beginning (what was applied is dropped by its number). Until then reading goes on: other keys
    need not wait, and an event that was merely late may still come.

    One gap cannot be healed so: retention has deleted the head of the partition. Then the low
    watermark is above 0, and in a pass that began there no earlier event of the key shows up. That gap
    is accepted, with a warning, or else a consumer that joins late could never start.

    With the low watermark at 0 nothing was deleted, so whatever is missing has yet to be sent or was lost by
    the broker; the outbox still has it. Skipping it would be a silent loss, so the key waits, the
    metric and the log complain, and rewinds become rare. An operator sends the outbox again or
    moves the key on by hand (`ParkedEvents.skip_to`).

    Args:
        first_s, longest_s: pauses between rewinds in seconds.
    """

    first_s: float
    longest_s: float
    low_watermark: int = 0
    rewound: bool = False
    _pause_s: float = 0.0
    _due: float | None = None
    _earliest: float = 0.0
    _first: dict[Hashable, int] = field(default_factory=dict)

    def meet(self, key: Hashable, sequence: int) -> None:
        """An event of the key arrived."""
        if self._first.get(key) == _NOT_YET:
            self._first[key] = sequence

    def judge(self, key: Hashable, sequence: int, last_seq: int, now: float) -> bool:
        """Whether to accept an event although its key is only at `last_seq`; if not, a rewind is planned."""
        # Of a key that was never applied, every earlier event of this pass would have come here before and
        # been accepted. Other keys must have been watched from the beginning of the pass.
        is_first = last_seq == 0 or self._first.get(key) == sequence
        if self.rewound and self.low_watermark > 0 and is_first:
            return True
        if len(self._first) < _MOST_WATCHED:
            self._first.setdefault(key, _UNKNOWN)
        if self._due is None:
            self._due = max(now, self._earliest)
        return False

    def due(self, now: float) -> bool:
        """Whether the planned rewind should happen now."""
        return self._due is not None and now >= self._due

    def rewind(self, low_watermark: int, now: float) -> None:
        """A new pass begins."""
        self._pause_s = min(self._pause_s * 2, self.longest_s) if self._pause_s else self.first_s
        self._earliest, self._due = now + self._pause_s, None
        self.low_watermark, self.rewound = low_watermark, True
        self._first = dict.fromkeys(self._first, _NOT_YET)

    def calm(self) -> None:
        """The end was reached with no gap open: the next one is a new story."""
        if self._due is None:
            self._pause_s = 0.0
            self._first.clear()
