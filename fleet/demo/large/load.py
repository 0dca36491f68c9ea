"""A load generator: numbered units of work, a bounded number at a time, counted as they end."""

import asyncio
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from fleet.client import CallFailed
from fleet.errors import FleetError

# These may have had no effect, or one that the same request_id finds again.
_TRY_AGAIN = frozenset({"UNAVAILABLE", "DEADLINE_EXCEEDED", "ABORTED", "RESOURCE_EXHAUSTED"})
_ATTEMPTS = 8
_FIRST_PAUSE_S = 0.1
_HOPELESS_AFTER = 20


@dataclass(slots=True)
class Tally:
    """What came of a load.

    Args:
        units: units that succeeded.
        made: things that they made.
        retried: attempts beyond the first.
        refused: units that failed for good, by reason.
        latencies_s: of the units that succeeded, in seconds, retries included.
        took_s: seconds from the first to the last.
    """

    units: int = 0
    made: int = 0
    retried: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    took_s: float = 0.0

    @property
    def rate(self) -> float:
        """Things made in a second."""
        return self.made / self.took_s if self.took_s else 0.0

    def percentile_ms(self, percent: int) -> float:
        """Latency in milliseconds that so many percent of the units stayed under; 0 without units."""
        ordered = sorted(self.latencies_s)
        return ordered[min(len(ordered) - 1, len(ordered) * percent // 100)] * 1000 if ordered else 0.0


class Load:
    """Runs units.

    Args:
        in_flight: units at once.
        on_end: called after each unit with the tally so far.
        on_prefix: called with how many of the first units have ended without a gap.
    """

    def __init__(
        self, in_flight: int, on_end: Callable[[Tally], None], on_prefix: Callable[[int], None]
    ) -> None:
        self._in_flight = in_flight
        self._on_end = on_end
        self._on_prefix = on_prefix

    async def run(self, first: int, last: int, unit: Callable[[int], Awaitable[int]]) -> Tally:
        """Run the units `first` to `last - 1`; each says how many things it made.

        Raises:
            FleetError: nothing but refusals came.
        """
        tally, numbers, ahead = Tally(), iter(range(first, last)), set[int]()
        prefix = first
        began = time.monotonic()

        async def work() -> None:
            nonlocal prefix
            for number in numbers:
                await self._one(number, unit, tally)
                ahead.add(number)
                while prefix in ahead:
                    ahead.remove(prefix)
                    prefix += 1
                tally.took_s = time.monotonic() - began
                self._on_prefix(prefix)
                self._on_end(tally)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._in_flight, last - first)):
                    group.create_task(work())
        except* FleetError as errors:
            raise errors.exceptions[0] from None
        return tally

    async def _one(self, number: int, unit: Callable[[int], Awaitable[int]], tally: Tally) -> None:
        began = time.monotonic()
        for attempt in range(_ATTEMPTS):
            try:
                made = await unit(number)  # on its own line: others count while this one waits
            except CallFailed as error:
                if error.code in _TRY_AGAIN and attempt + 1 < _ATTEMPTS:
                    tally.retried += 1
                    await asyncio.sleep(_FIRST_PAUSE_S * 2**attempt)
                    continue
                tally.refused[error.reason or error.code] += 1
                if not tally.units and tally.refused.total() >= _HOPELESS_AFTER:
                    raise FleetError(f"Every call is refused ({error}): see `greenledger status`.") from error
            else:
                tally.made += made
                tally.units += 1
                tally.latencies_s.append(time.monotonic() - began)
            return
