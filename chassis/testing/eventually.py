"""Waiting for a condition with a deadline, instead of sleeping for a guess."""

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar, overload

T = TypeVar("T")


@overload
async def eventually(
    predicate: Callable[[], Awaitable[T]],
    timeout_s: float = ...,
    *,
    interval_s: float = ...,
    ignore: tuple[type[BaseException], ...] = ...,
) -> T: ...


@overload
async def eventually(
    predicate: Callable[[], T],
    timeout_s: float = ...,
    *,
    interval_s: float = ...,
    ignore: tuple[type[BaseException], ...] = ...,
) -> T: ...


async def eventually(
    predicate: Callable[[], Any],
    timeout_s: float = 10.0,
    *,
    interval_s: float = 0.02,
    ignore: tuple[type[BaseException], ...] = (AssertionError,),
) -> Any:
    """Poll until the predicate holds, and give its answer.

    Args:
        predicate: plain or async function; truthy means that it holds.
        timeout_s: seconds before giving up; default 10.
        interval_s: pause between two looks in seconds; default 0.02.
        ignore: errors that mean "not yet"; default AssertionError.

    Raises:
        AssertionError: the time ran out; it shows the last answer or carries the last error.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        error: BaseException | None = None
        answer: Any = None
        try:
            outcome = predicate()
            answer = await outcome if inspect.isawaitable(outcome) else outcome
            if answer:
                return answer
        except ignore as caught:
            error = caught
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {timeout_s} s; last answer was {answer!r}") from error
        await asyncio.sleep(interval_s)
