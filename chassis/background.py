"""A loop that does something again and again until it is stopped."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog

from chassis.wakeup import Wakeup

_log = structlog.get_logger(__name__)


class Every:
    """Does work, pauses, does it again; a failure is logged and the next time tries again.

    Args:
        name: for the log.
        work: what to do; a truthy answer says that there is more, so the next time comes at once.
        interval: pause between two times; default 1 minute.
        wakeup: ends the pause early when notified; default one of its own.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[], Awaitable[object]],
        interval: timedelta = timedelta(minutes=1),
        wakeup: Wakeup | None = None,
    ) -> None:
        self._name = name
        self._work = work
        self._interval_s = interval.total_seconds()
        self._wakeup = wakeup or Wakeup()
        self._stopping = False
        self._ended = asyncio.Event()
        self._ended.set()

    async def run(self) -> None:
        """Work until `stop` was called."""
        self._ended.clear()
        try:
            while not self._stopping:
                if not await self._once() and not self._stopping:
                    await self._wakeup.wait(self._interval_s)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Ask `run` to end; returns when it has finished the work in hand."""
        self._stopping = True
        self._wakeup.notify()
        await self._ended.wait()

    async def _once(self) -> object:
        try:
            return await self._work()
        except Exception:
            _log.exception("background.failed", loop=self._name)
            return False
