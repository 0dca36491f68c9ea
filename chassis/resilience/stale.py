"""The last good answers of reads that may be given while their service cannot be reached."""

from collections import OrderedDict
from dataclasses import dataclass

from chassis.clock import Clock

Key = tuple[str, bytes]
"""Method path and serialized request."""


@dataclass(frozen=True, slots=True)
class StaleAnswer:
    """An answer given a second time.

    Args:
        response: serialized.
        age_s: seconds since the service gave it.
    """

    response: bytes
    age_s: float


class StaleAnswers:
    """Answers by method and request; the longest unused are dropped first.

    Args:
        clock: monotonic time, for their age.
        most_entries: default 1,000.
        most_bytes: of requests and responses together; default 8 MiB. A larger answer is not kept.
    """

    def __init__(self, clock: Clock, *, most_entries: int = 1000, most_bytes: int = 8 * 2**20) -> None:
        self._clock = clock
        self._most_entries = most_entries
        self._most_bytes = most_bytes
        self._kept: OrderedDict[Key, tuple[bytes, float]] = OrderedDict()
        self._bytes = 0

    @property
    def size_bytes(self) -> int:
        """Bytes of requests and responses that are kept."""
        return self._bytes

    def __len__(self) -> int:
        return len(self._kept)

    def keep(self, key: Key, response: bytes) -> None:
        """Remember the newest answer to a request."""
        self._drop(key)
        size = len(key[1]) + len(response)
        if size > self._most_bytes:
            return
        self._kept[key] = (response, self._clock.monotonic())
        self._bytes += size
        while self._bytes > self._most_bytes or len(self._kept) > self._most_entries:
            self._drop(next(iter(self._kept)))

    def find(self, key: Key, most_age_s: float) -> StaleAnswer | None:
        """The answer to a request, unless it is older than `most_age_s` seconds; then it is dropped."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        age_s = self._clock.monotonic() - kept[1]
        if age_s > most_age_s:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return StaleAnswer(kept[0], age_s)

    def _drop(self, key: Key) -> None:
        kept = self._kept.pop(key, None)
        if kept is not None:
            self._bytes -= len(key[1]) + len(kept[0])
