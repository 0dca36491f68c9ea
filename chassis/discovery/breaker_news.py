"""Changes of circuit breakers as events, without any call waiting for them."""

import asyncio
from collections import deque
from datetime import timedelta

import structlog

from chassis.database import Database
from chassis.outbox import Outbox, Publication
from chassis.resilience import BreakerChange, BreakerState
from chassis.settings import Settings
from chassis.wakeup import Wakeup
from greenledger.control.v1 import events_pb2

TOPIC = "control.breaker-changed"

_log = structlog.get_logger(__name__)
_STATES = {
    BreakerState.CLOSED: events_pb2.BREAKER_STATE_CLOSED,
    BreakerState.OPEN: events_pb2.BREAKER_STATE_OPEN,
    BreakerState.HALF_OPEN: events_pb2.BREAKER_STATE_HALF_OPEN,
}


class BreakerNews:
    """Publishes changes through the service's outbox.

    Args:
        settings: who tells.
        database, outbox: of the service.
        most: changes kept while the database is away; default 1,000. Beyond that the oldest are dropped.
        pause: after a failure; default 1 s.
    """

    def __init__(
        self,
        settings: Settings,
        database: Database,
        outbox: Outbox,
        *,
        most: int = 1000,
        pause: timedelta = timedelta(seconds=1),
    ) -> None:
        self._settings = settings
        self._database = database
        self._outbox = outbox
        self._waiting: deque[BreakerChange] = deque(maxlen=most)
        self._pause_s = pause.total_seconds()
        self._wakeup = Wakeup()
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    def tell(self, change: BreakerChange) -> None:
        """Note a change; returns at once."""
        self._waiting.append(change)
        self._wakeup.notify()

    async def run(self) -> None:
        """Publish until `stop` was called."""
        self._idle.clear()
        try:
            while not self._stopping:
                failed = not await self._publish()
                if not self._stopping:
                    await self._wakeup.wait(self._pause_s if failed else 60.0)
        finally:
            self._idle.set()

    async def stop(self) -> None:
        """Ask `run` to end, and publish what is left."""
        self._stopping = True
        self._wakeup.notify()
        await self._idle.wait()
        await self._publish()

    async def _publish(self) -> bool:
        changes = list(self._waiting)
        if not changes:
            return True
        try:
            async with self._database.transaction() as tx:
                await self._outbox.publish(tx, [self._publication(change) for change in changes])
        except Exception:
            _log.warning("breaker.news_waiting", changes=len(changes), exc_info=True)
            return False
        for change in changes:
            if self._waiting and self._waiting[0] is change:
                self._waiting.popleft()
        return True

    def _publication(self, change: BreakerChange) -> Publication:
        payload = events_pb2.BreakerChanged(
            caller=self._settings.service,
            callee=change.callee,
            instance_id=self._settings.instance_id,
            state=_STATES[change.state],
            previous_state=_STATES[change.previous],
            detail=change.detail,
        )
        return Publication(TOPIC, f"{payload.caller}/{payload.callee}", payload, "breaker")
