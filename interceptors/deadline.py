"""Deadlines: every unary call has one, it is refused when expired, and it shrinks from hop to hop."""

import asyncio
from datetime import timedelta
from typing import Any

import grpc

from chassis import context
from chassis.clock import Clock
from chassis.errors import DeadlineExceeded
from interceptors import reasons
from interceptors.call import Call, Method, Proceed
from interceptors.outgoing import Outgoing


class Deadline:
    """Server side.

    A caller's deadline within the cap is watched by gRPC itself, which cancels the handler; only a
    missing or longer one needs a timer of ours. Streams keep what the caller asked for, and may have none.

    Args:
        clock: the instants of `RequestContext.deadline`.
        default: for unary calls that come without one; default 15 s.
        cap: most for unary calls; default 60 s.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        default: timedelta = timedelta(seconds=15),
        cap: timedelta = timedelta(seconds=60),
    ) -> None:
        self._clock = clock
        self._default_s = default.total_seconds()
        self._cap_s = cap.total_seconds()

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method but health and reflection; default and cap only where no response streams."""
        if method.infrastructure:
            return proceed
        monotonic, default_s = self._clock.monotonic, self._default_s
        cap_s = float("inf") if method.streams_responses else self._cap_s
        own_timer = _with_timer(proceed)

        async def limit(request: Any, call: Call) -> Any:
            remaining_s = call.grpc.time_remaining()
            if remaining_s is None:
                if cap_s == float("inf"):
                    return await proceed(request, call)
                call.deadline = monotonic() + default_s
                return await own_timer(request, call, default_s)
            if remaining_s <= 0:
                raise DeadlineExceeded(reasons.DEADLINE_EXPIRED, "The deadline had passed before work began.")
            if remaining_s > cap_s:
                call.deadline = monotonic() + cap_s
                return await own_timer(request, call, cap_s)
            call.deadline = monotonic() + remaining_s
            return await proceed(request, call)

        return limit


class ClientDeadline:
    """Client side: what remains of the inbound deadline minus a margin, or less.

    The caller's own timeout (else the default) applies when it is shorter.

    Streams get no default: without an inbound deadline and an explicit timeout they stay open.

    Args:
        clock: the instants of `RequestContext.deadline`.
        default: for calls without an explicit timeout; default what the callee's policy says, 3 s.
        margin: kept back to answer our own caller; default 20 ms.
    """

    def __init__(
        self,
        clock: Clock,
        *,
        default: timedelta | None = None,
        margin: timedelta = timedelta(milliseconds=20),
    ) -> None:
        self._clock = clock
        self._default_s = None if default is None else default.total_seconds()
        self._margin_s = margin.total_seconds()

    async def before(self, outgoing: Outgoing) -> None:
        """Set timeout and deadline.

        Raises:
            DeadlineExceeded: nothing remains, so the call is not even sent.
        """
        timeout_s = outgoing.timeout_s
        if timeout_s is None and not outgoing.streams:
            timeout_s = outgoing.callee.timeout_s if self._default_s is None else self._default_s
        inbound, now = context.current().deadline, self._clock.monotonic()
        if inbound is not None:
            remaining_s = inbound - now - self._margin_s
            if remaining_s <= 0:
                raise DeadlineExceeded(reasons.DEADLINE_EXPIRED, "No time was left for a call that it needs.")
            if timeout_s is None or remaining_s < timeout_s:
                timeout_s, outgoing.cut_short = remaining_s, True
        outgoing.timeout_s = timeout_s
        outgoing.deadline = None if timeout_s is None else now + timeout_s

    def after(self, outgoing: Outgoing, code: grpc.StatusCode) -> None:
        """Nothing to do."""


def _with_timer(proceed: Proceed) -> Any:
    async def limited(request: Any, call: Call, limit_s: float) -> Any:
        timer = asyncio.timeout(limit_s)
        try:
            async with timer:
                return await proceed(request, call)
        except TimeoutError:
            if not timer.expired():
                raise  # somebody else's timeout, not the call's
            message = f"The call took longer than {limit_s:g} s."
            raise DeadlineExceeded(reasons.DEADLINE_EXPIRED, message) from None

    return limited
