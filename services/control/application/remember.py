"""Keeping what is known over a restart: a cold registry that answered "nobody" would stop the fleet."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import structlog

from chassis.clock import Clock
from services.control.application.fleet import Fleet
from services.control.application.ports import Memories, Memory
from services.control.application.refresh import Refresh

_log = structlog.get_logger(__name__)


class Remember:
    """Saves what is known after it changed, to every place; one that fails holds up no other.

    Args:
        places: where to.
        again: a place that failed is tried again after this; default 5 s.
    """

    def __init__(
        self, fleet: Fleet, places: Sequence[Memories], clock: Clock, again: timedelta = timedelta(seconds=5)
    ) -> None:
        self._fleet = fleet
        self._places = list(places)
        self._clock = clock
        self._again_s = again.total_seconds()
        self._saved = [0] * len(self._places)
        self._not_before = [0.0] * len(self._places)

    async def __call__(self) -> bool:
        """Save where it is due; called in a loop, whose pause makes one save of many changes.

        What a replica knows before it has views is too little to replace what was known before.
        """
        if self._fleet.current().revision:
            await asyncio.gather(*map(self._save, range(len(self._places))))
        return False

    async def _save(self, index: int) -> None:
        place, revision = self._places[index], self._fleet.revision
        if self._saved[index] == revision or self._clock.monotonic() < self._not_before[index]:
            return
        try:
            await place.save(self._fleet.memory())
            self._saved[index] = revision
        except Exception as error:  # a full disk, a standby, a lost table: each place has its own
            self._not_before[index] = self._clock.monotonic() + self._again_s
            _log.warning("control.not_saved", place=type(place).__name__, error=f"{error!r}")


class Recall:
    """Begins with what is known from before: with the newest memory, and with what is stored.

    Args:
        database: the memory that all replicas share.
        file: this replica's own; None when it has none.
    """

    def __init__(self, fleet: Fleet, refresh: Refresh, database: Memories, file: Memories | None) -> None:
        self._fleet = fleet
        self._refresh = refresh
        self._database = database
        self._file = file

    async def __call__(self) -> None:
        """Load once, before anything is served.

        Without any memory and without the database there is nothing to tell: then views begin one lease
        later, when every instance had the time to register.
        """
        stored = await self._refresh.quietly()
        memories = [await self._load(place) for place in (self._database, self._file) if place]
        memory = max((m for m in memories if m), key=lambda m: m.saved_at, default=None)
        if memory is not None:
            self._fleet.restore(memory, settings=not stored)
        if memory is not None or stored:
            self._fleet.tell()
        _log.info(
            "control.recalled",
            instances=len(self._fleet.registry.instances),
            settings="database" if stored else "snapshot" if memory else "none",
        )

    async def _load(self, place: Memories) -> Memory | None:
        try:
            return await place.load()
        except Exception as error:  # one place that cannot be read is what the other is for
            _log.warning("control.not_loaded", place=type(place).__name__, error=f"{error!r}")
            return None
