"""Settings for those who watch."""

from collections.abc import AsyncGenerator, Iterator, Sequence

from chassis.clock import Clock
from services.control.application.config import ConfigQueries, Setting
from services.control.application.fleet import CONFIG, Fleet
from services.control.application.watching import Ended, Heartbeat, WatchTimes, watch


class WatchConfig:
    """All that holds for a service, then all of it again after each change."""

    def __init__(self, fleet: Fleet, queries: ConfigQueries, clock: Clock, times: WatchTimes) -> None:
        self._fleet = fleet
        self._queries = queries
        self._clock = clock
        self._times = times

    def __call__(self, service: str) -> AsyncGenerator[Sequence[Setting] | Heartbeat | Ended, None]:
        told: Sequence[Setting] | None = None

        def read() -> Iterator[Sequence[Setting]]:
            nonlocal told
            now = self._queries.in_force(service)
            if now != told:
                told = now
                yield now

        return watch(self._fleet.changes, CONFIG, read, self._clock, self._times)
