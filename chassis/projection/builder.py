"""Going on with rebuilds that an operator has asked for."""

import asyncio
import logging

from chassis.database import Database
from chassis.eventstore import EventStore
from chassis.projection import checkpoint
from chassis.projection.definition import Projection
from chassis.projection.rebuild import Rebuild
from chassis.wakeup import Wakeup

_log = logging.getLogger(__name__)


class Builder:
    """Builds what the table of checkpoints says is being built, and keeps it caught up until it is swapped.

    The wish is a row in the database, so it outlives the process, and any replica works on it. The live
    projection is followed meanwhile by its runner.

    Args:
        poll_s: longest time in seconds between two looks; default 0.5.
        retry_max_s: longest pause after failures in seconds; default 30.
    """

    def __init__(
        self,
        database: Database,
        store: EventStore,
        projection: Projection,
        *,
        poll_s: float = 0.5,
        retry_max_s: float = 30.0,
    ) -> None:
        self._database = database
        self._projection = projection
        self._rebuild = Rebuild(database, store, projection)
        self._poll_s = poll_s
        self._retry_max_s = retry_max_s
        self._wakeup = Wakeup()
        self._stopping = False
        self.busy = asyncio.Lock()
        """Held for a batch; whoever rebuilds in one go holds it all the time."""

    def wake(self) -> None:
        """Say that something is to be built."""
        self._wakeup.notify()

    async def run(self) -> None:
        """Build until `stop`."""
        pause_s = self._poll_s
        while not self._stopping:
            more = False
            try:
                more = await self._step()
                pause_s = self._poll_s
            except Exception as error:
                _log.warning("the rebuild of %s failed", self._projection.name, exc_info=True)
                await self._tell(error)
                pause_s = min(pause_s * 2, self._retry_max_s)
            if not more and not self._stopping:
                await self._wakeup.wait(pause_s)

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self._stopping = True
        self._wakeup.notify()

    async def _step(self) -> bool:
        async with self.busy:
            return await self._rebuild.step()

    async def _tell(self, error: Exception) -> None:
        try:
            await checkpoint.record_error(self._database, self._projection, error, live=False)
        except Exception:
            _log.warning("could not record the error of %s", self._projection.name, exc_info=True)
