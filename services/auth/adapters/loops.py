"""Housekeeping as a background loop."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from chassis.logging import get_logger
from chassis.wakeup import Wakeup

_log = get_logger(__name__)


class Every:
    """Does something again and again; a failure is logged and the next time tries again.

    Args:
        work: what to do.
        interval: pause between two times; default 1 minute.
    """

    def __init__(
        self, work: Callable[[], Awaitable[None]], interval: timedelta = timedelta(minutes=1)
    ) -> None:
        self._work = work
        self._interval_s = interval.total_seconds()
        self._wake = Wakeup()
        self._stopping = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Work until `stop` was called."""
        self._idle.clear()
        try:
            while not self._stopping:
                try:
                    await self._work()
                except Exception:
                    _log.exception("auth.housekeeping_failed")
                await self._wake.wait(self._interval_s)
        finally:
            self._idle.set()

    async def stop(self) -> None:
        """Ask `run` to end; returns when it has."""
        self._stopping = True
        self._wake.notify()
        await self._idle.wait()
