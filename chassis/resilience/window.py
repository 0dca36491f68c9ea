"""Two counts over the last so many seconds."""

from collections import deque
from dataclasses import dataclass
from datetime import timedelta

from chassis.clock import Clock

_SLICES = 10  # what is counted leaves the window a tenth at a time


@dataclass(slots=True)
class _Slice:
    number: int
    first: int = 0
    second: int = 0


class Window:
    """A sliding window of ten slices.

    Args:
        clock: monotonic time.
        length: how far back it reaches.
    """

    def __init__(self, clock: Clock, length: timedelta) -> None:
        self._clock = clock
        self._slice_s = length.total_seconds() / _SLICES
        self._slices: deque[_Slice] = deque(maxlen=_SLICES)

    def add(self, first: int, second: int) -> None:
        """Count now."""
        number = int(self._clock.monotonic() / self._slice_s)
        if not self._slices or self._slices[-1].number != number:
            self._slices.append(_Slice(number))
        current = self._slices[-1]
        current.first += first
        current.second += second

    def totals(self) -> tuple[int, int]:
        """Both counts of the window that ends now."""
        oldest = int(self._clock.monotonic() / self._slice_s) - _SLICES
        first = second = 0
        for part in self._slices:
            if part.number > oldest:
                first += part.first
                second += part.second
        return first, second

    def clear(self) -> None:
        """Forget everything."""
        self._slices.clear()
