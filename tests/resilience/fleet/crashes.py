"""Crash points as test cases, and what to do around one."""

import asyncio
import signal
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any

from chassis.saga import Saga, crashpoints_of
from fleet.client import CallFailed
from fleet.testing.live import LiveFleet


def points_by_step(saga: Saga) -> dict[str, tuple[str, str]]:
    """Every crash point of a saga, with its step and direction."""
    found = {}
    for point in crashpoints_of(saga):
        _, _, step, direction, _ = point.split(".")
        found[point] = (step, direction)
    return found


async def killed_by_its_crash_point(
    live: LiveFleet, service: str, call: Awaitable[Any], *, restart: bool = False
) -> None:
    """Make a call while a service is armed, and wait until it has killed itself and the call has ended.

    Args:
        restart: start it again at once, while the call still waits. Default False.
    """
    calling = asyncio.ensure_future(_answer(call))
    try:
        assert await live.died(service, 30.0) == -signal.SIGKILL
        if restart:
            await live.start_service(service)
    except TimeoutError:
        answer = calling.result() if calling.done() else "no answer yet"
        raise AssertionError(f"{service} never reached its crash point; the call gave {answer!r}") from None
    finally:
        if not calling.done():
            with suppress(TimeoutError):
                await asyncio.wait_for(calling, 30)


async def wait_for_its_death(live: LiveFleet, service: str) -> None:
    """Wait until an armed service has killed itself in the course of its recovery."""
    assert await live.died(service, 30.0) == -signal.SIGKILL


async def keep_dying(live: LiveFleet, service: str, point: str, times: int) -> None:
    """Start a dead service armed, and let it die in its recovery, so many times; it stays dead."""
    for _ in range(times):
        await live.start_service(service, point)
        await wait_for_its_death(live, service)


async def _answer(call: Awaitable[Any]) -> Any:
    try:
        return await call
    except CallFailed as failure:
        return failure
