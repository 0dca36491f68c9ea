"""Repeats of outgoing calls: the one layer at which anything is tried again."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from random import random
from typing import Any, Protocol, TypeAlias

import grpc

from chassis.clock import Clock
from chassis.resilience import Callee, CallPolicy, delay_s
from interceptors.client_metadata import elsewhere
from interceptors.outgoing import Outgoing
from interceptors.status import NOT_BEGUN_KEY, details_of

Begin: TypeAlias = Callable[[Outgoing], Awaitable[Any]]
"""Sends one attempt; gives the grpc.aio call, which has not ended yet."""

Ended: TypeAlias = tuple[Any, grpc.StatusCode]
"""A grpc.aio call, or the answer in its place, and its status."""


class Delivery(Protocol):
    """What brings a prepared call to its callee."""

    async def send(self, outgoing: Outgoing, begin: Begin) -> Ended:
        """The call's end, whatever it took."""
        ...


LEAST_TIME_S = 0.05
"""No attempt is begun for which less time than this would remain."""

_OK = grpc.StatusCode.OK
_WORTH_ANOTHER = {
    grpc.StatusCode.UNAVAILABLE: "unavailable",
    # By the callee, since who cancels a call himself is not waiting here any more: it is what gRPC in a
    # process that shuts down says of calls that have not begun.
    grpc.StatusCode.CANCELLED: "cancelled",
}


class Straight:
    """One attempt, whatever the contract says."""

    async def send(self, outgoing: Outgoing, begin: Begin) -> Ended:
        """The attempt's call and status."""
        outgoing.attempts = 1
        call = await begin(outgoing)
        return call, await _status(call)


class Attempts:
    """Tries calls again that may be repeated, while policy, deadline and budget allow it.

    What its callee says it has not begun may always be; all else where the contract calls that harmless.

    Every attempt is sent with all the time that remains. The limit for one attempt is watched here instead,
    for it is of use only if another may follow: when the budget forbids that, the answer is waited for.
    Where a key chooses the instance, each attempt has one of its own.

    Only calls whose messages do not stream are repeated. Who watches a stream knows where to resume it.

    Args:
        clock: the instants of `Outgoing.deadline`.
        sleep: waits so many seconds; default asyncio's.
        jitter: a number in [0, 1); default random.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
        jitter: Callable[[], float] = random,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._jitter = jitter

    async def send(self, outgoing: Outgoing, begin: Begin) -> Ended:
        """One attempt, or as many as it takes; the last one's call and status."""
        outgoing.callee.attempts += 1
        outgoing.callee.budget.called()
        outgoing.attempts = 1
        callee, place = outgoing.callee, _Place(outgoing.callee)
        policy = callee.policy
        while True:
            last = outgoing.attempts >= policy.attempts
            call = await begin(outgoing)
            limit = None if last else self._limit(outgoing, policy, call, place)
            try:
                code = await _status(call)
            finally:
                if limit is not None:
                    limit.cancel()
            if code is _OK or last:
                return call, code
            why = "timeout" if place.expired else await _worth_another(outgoing, call, code)
            if why is None:
                return call, code
            wait_s = await self._wait_s(outgoing, policy, call, place)
            if wait_s is None or not (place.expired or place.claim()):
                return call, code
            place.expired = False
            callee.retried[why] = callee.retried.get(why, 0) + 1
            await self._sleep(wait_s)
            callee.attempts += 1
            outgoing.attempts += 1
            elsewhere(outgoing)

    def _limit(
        self, outgoing: Outgoing, policy: CallPolicy, call: Any, place: "_Place"
    ) -> asyncio.TimerHandle | None:
        if not outgoing.target.repeatable:
            return None
        limit_s = policy.per_try_timeout.total_seconds()
        if outgoing.deadline is not None:
            remaining_s = outgoing.deadline - self._clock.monotonic()
            if remaining_s < limit_s + LEAST_TIME_S:
                return None

        def expire() -> None:
            if place.claim():
                place.expired = True
                call.cancel()

        return asyncio.get_running_loop().call_later(limit_s, expire)

    async def _wait_s(
        self, outgoing: Outgoing, policy: CallPolicy, call: Any, place: "_Place"
    ) -> float | None:
        """Seconds until the next attempt, None when there is no time for one."""
        asked_for = None if place.expired else _asked_for(await call.trailing_metadata())
        wait_s = delay_s(policy, outgoing.attempts, asked_for, self._jitter)
        if outgoing.deadline is None:
            return wait_s
        most_s = outgoing.deadline - self._clock.monotonic() - LEAST_TIME_S
        if place.expired:
            return min(wait_s, max(0.0, most_s))  # its attempt was given up for this one
        return wait_s if wait_s <= most_s else None


class _Place:
    """What the budget of its callee gives to a call: places for its next attempts.

    `expired` says that an attempt was given up for the next one, whose place is taken already.
    """

    __slots__ = ("_callee", "expired")

    def __init__(self, callee: Callee) -> None:
        self._callee = callee
        self.expired = False

    def claim(self) -> bool:
        """A place for the next attempt, unless the budget is spent."""
        if self._callee.budget.take():
            return True
        self._callee.refused["budget"] = self._callee.refused.get("budget", 0) + 1
        return False


async def _worth_another(outgoing: Outgoing, call: Any, code: grpc.StatusCode) -> str | None:
    """Why another attempt may fare better and cannot count twice; None when it may not be made."""
    why = _WORTH_ANOTHER.get(code)
    if why is None or outgoing.target.repeatable:
        return why
    return why if NOT_BEGUN_KEY in (await call.trailing_metadata() or ()) else None


async def _status(call: Any) -> grpc.StatusCode:
    try:
        code: grpc.StatusCode = await call.code()
    except asyncio.CancelledError:
        # Waiting for the status is not waiting for the call: without this it would go on at the peer.
        call.cancel()
        raise
    return code


def _asked_for(trailers: Any) -> timedelta | None:
    retry: Any = details_of(tuple(trailers or ())).get("RetryInfo")
    return None if retry is None else retry.retry_delay.ToTimedelta()
