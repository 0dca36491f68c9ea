"""Waiting for what arrives by events: soon, but not in the same instant."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

from fleet.errors import FleetError

T = TypeVar("T")


async def until(ask: Callable[[], Awaitable[T | None]], what: str, *, timeout_s: float = 15.0) -> T:
    """Ask again until the answer is there.

    Args:
        ask: gives the answer, or None as long as there is none.
        what: names it in the sentence of the failure.

    Raises:
        FleetError: it did not come within `timeout_s` seconds.
    """
    deadline = time.monotonic() + timeout_s
    while (answer := await ask()) is None:
        if time.monotonic() > deadline:
            raise FleetError(f"{what} did not come within {timeout_s:.0f} s: see `greenledger status`.")
        await asyncio.sleep(0.03)
    return answer
