"""Keeping a projection up to date."""

import asyncio
import logging

from chassis.database import Database
from chassis.eventstore import EventStore
from chassis.eventstore.schema import EVENT_LOG
from chassis.projection import checkpoint
from chassis.projection.batch import apply_batch
from chassis.projection.builder import Builder
from chassis.projection.definition import Projection
from chassis.projection.rebuild import Rebuild, RebuildReport

_log = logging.getLogger(__name__)


class ProjectionRunner:
    """Applies new events to the live read model, checkpoint and rows in one transaction.

    Several replicas may run one: the row of the checkpoint is locked, the others wait their turn. A
    failing event stops the projection (skipping it would make the read model wrong) and is retried;
    `statuses` shows the reason.

    Args:
        poll_s: longest time between two looks at the store in seconds; default 0.25. An append of this
            process wakes it at once.
        retry_max_s: longest pause after failures in seconds, reached by doubling; default 30.
    """

    def __init__(
        self,
        database: Database,
        store: EventStore,
        projection: Projection,
        *,
        poll_s: float = 0.25,
        retry_max_s: float = 30.0,
    ) -> None:
        self._database = database
        self.store = store
        self.projection = projection
        self.rebuilding = Rebuild(database, store, projection)
        self.builder = Builder(database, store, projection, retry_max_s=retry_max_s)
        self._poll_s = poll_s
        self._retry_max_s = retry_max_s
        self._wakeup = store.subscribe()
        self._stopping = False
        self._running = False
        self._ended = asyncio.Event()
        self._known_position = -1

    @property
    def name(self) -> str:
        """Of the projection."""
        return self.projection.name

    async def run(self) -> None:
        """Follow the store until `stop`; rebuilds first when the logic changed."""
        self._running = True
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self.builder.run())
                await self._loop()
                self.builder.stop()
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """End the loop after the batch in hand; returns when it has ended."""
        self._stopping = True
        self._wakeup.notify()
        if self._running:
            await self._ended.wait()

    async def _loop(self) -> None:
        pause_s = self._poll_s
        while not self._stopping:
            try:
                await self._follow()
                pause_s = self._poll_s
            except Exception as error:
                _log.warning("projection %s failed", self.projection.name, exc_info=True)
                await self._tell(error)
                pause_s = min(pause_s * 2, self._retry_max_s)
            if not self._stopping:
                await self._wakeup.wait(pause_s)

    async def ensure_live(self) -> None:
        """Make the first checkpoint, unless there is one."""
        await checkpoint.ensure_live(self._database, self.projection)

    async def catch_up(self) -> int:
        """Apply all that may be read now; returns the number of events."""
        await self.ensure_live()
        total = 0
        while True:
            applied, more = await self.step()
            total += applied
            if not more:
                return total

    async def step(self) -> tuple[int, bool]:
        """Apply one batch; returns its size and whether a full batch suggests more."""
        async with self._database.transaction() as tx:
            found = await checkpoint.lock(tx, self.projection, live=True, wait=False)
            if found is None:
                return 0, False
            self._check_logic(found.logic_version)
            until = await EVENT_LOG.read_ceiling(tx, found.position)
            tables = self.projection.live()
            count, position = await apply_batch(
                tx, self.store, self.projection, found, tables=tables, until=until
            )
        self._known_position = position
        return count, count == self.projection.batch_size

    async def rebuild(self, *, accept_difference: bool = False) -> RebuildReport:
        """Rebuild beside the live tables and swap; see `Rebuild.run`."""
        await self.ensure_live()
        async with self.builder.busy:
            return await self.rebuilding.run(accept_difference=accept_difference)

    async def _follow(self) -> None:
        await self.ensure_live()
        await self._rebuild_when_logic_changed()
        while not self._stopping:
            # Most polls find nothing; one read of the sequence says so without a transaction.
            if await self.store.head() <= self._known_position:
                return
            _, more = await self.step()
            if not more:
                return

    async def _rebuild_when_logic_changed(self) -> None:
        if self._known_position >= 0:
            return
        stored = await self._database.fetchval(
            "SELECT logic_version FROM projection WHERE name = $1 AND status = 'live'", self.projection.name
        )
        if stored < self.projection.logic_version:
            await self.rebuild()

    def _check_logic(self, stored: int) -> None:
        if stored != self.projection.logic_version:
            name, own = self.projection.name, self.projection.logic_version
            raise RuntimeError(f"projection {name} holds logic version {stored}, this process has {own}")

    async def _tell(self, error: Exception) -> None:
        try:
            await checkpoint.record_error(self._database, self.projection, error)
        except Exception:
            _log.warning("could not record the error of %s", self.projection.name, exc_info=True)
