"""Waiting for the end of sagas."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta

from chassis.errors import DeadlineExceeded
from chassis.saga.instance import Instance

_FIRST_POLL_S = 0.05
_LONGEST_POLL_S = 1.0


class Ends:
    """Tells waiters at once of what ends in this process, and polls for what ends elsewhere.

    Args:
        get: reads an instance, raising NotFound when there is none.
    """

    def __init__(self, get: Callable[[str], Awaitable[Instance]]) -> None:
        self._get = get
        self._waiters: dict[str, set[asyncio.Future[Instance]]] = {}

    def announce(self, instance: Instance) -> None:
        """Wake those who wait for an instance that has reached a final state."""
        for future in self._waiters.get(instance.saga_id, ()):
            if not future.done():
                future.set_result(instance)

    async def wait(self, saga_id: str, timeout: timedelta, running_here: Callable[[], bool]) -> Instance:
        """The ended instance.

        Args:
            running_here: whether this process works on it, so that its end will be announced.

        Raises:
            NotFound: no such saga.
            DeadlineExceeded: not ended in time.
        """
        future: asyncio.Future[Instance] = asyncio.get_running_loop().create_future()
        waiting = self._waiters.setdefault(saga_id, set())
        waiting.add(future)
        try:
            async with asyncio.timeout(timeout.total_seconds()):
                return await self._wait(saga_id, future, running_here)
        except TimeoutError:
            message = f"Saga {saga_id} has not ended within {timeout.total_seconds():g} s."
            raise DeadlineExceeded("SAGA_UNFINISHED", message, resource=("saga", saga_id)) from None
        finally:
            waiting.discard(future)
            if not waiting:
                del self._waiters[saga_id]

    async def _wait(
        self, saga_id: str, future: asyncio.Future[Instance], running_here: Callable[[], bool]
    ) -> Instance:
        pause_s = _FIRST_POLL_S
        while True:
            if not running_here():
                instance = await self._get(saga_id)
                if instance.state.final:
                    return instance
            done, _ = await asyncio.wait({future}, timeout=pause_s)
            if done:
                return future.result()
            pause_s = min(pause_s * 2, _LONGEST_POLL_S)
