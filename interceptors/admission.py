"""Load shedding and draining: a call that cannot be served in time is refused at once."""

import asyncio
from datetime import timedelta
from typing import Any

from chassis.errors import Unavailable
from interceptors import reasons
from interceptors.call import Call, Method, Proceed
from interceptors.status import NotBegun


class Admission:
    """Bounds the calls in flight, and drains.

    A refusal is UNAVAILABLE, not RESOURCE_EXHAUSTED: another instance may serve the call, so clients and
    proxy retry it there, whatever it is, for nothing of it was begun here. Health and reflection are always
    admitted.

    Args:
        max_in_flight: most calls without a response stream at a time; default 1000.
        max_streams: most open response streams; default 1000.
        retry_after: what a refused client is told; default 200 ms.
    """

    def __init__(
        self,
        *,
        max_in_flight: int = 1000,
        max_streams: int = 1000,
        retry_after: timedelta = timedelta(milliseconds=200),
    ) -> None:
        self._most_calls = max_in_flight
        self._most_streams = max_streams
        self._retry_after = retry_after
        self._calls: dict[Call, asyncio.Task[Any]] = {}
        self._streams: dict[Call, asyncio.Task[Any]] = {}
        self._idle = asyncio.Event()
        self._idle.set()
        self.draining = False

    @property
    def in_flight(self) -> int:
        """Calls and open streams."""
        return len(self._calls) + len(self._streams)

    def drain(self) -> None:
        """Refuse new calls from now on; those in flight go on.

        Call it when the instance has been NOT_SERVING long enough for clients to have noticed.
        """
        self.draining = True

    def end_streams(self) -> None:
        """End the response streams that are open: their clients get UNAVAILABLE and resume elsewhere."""
        self._end(self._streams)

    def end_calls(self) -> None:
        """End the other calls, too: UNAVAILABLE tells their clients to ask again.

        Left to gRPC when their time is over, they would end CANCELLED, as if the clients had wished it.
        """
        self._end(self._calls)

    async def idle(self) -> None:
        """Return when nothing is in flight; bound it with `asyncio.timeout`."""
        await self._idle.wait()

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method but health and reflection."""
        if method.infrastructure:
            return proceed
        if method.streams_responses:
            return self._around(proceed, self._streams, self._most_streams)
        return self._around(proceed, self._calls, self._most_calls)

    def _around(self, proceed: Proceed, admitted: dict[Call, asyncio.Task[Any]], most: int) -> Proceed:
        async def admit(request: Any, call: Call) -> Any:
            task = asyncio.current_task()
            if task is None or self.draining or len(admitted) >= most:
                raise self._refusal(NotBegun)
            admitted[call] = task
            self._idle.clear()
            try:
                return await proceed(request, call)
            except asyncio.CancelledError:
                # A client that left also cancels the task, and then there is nobody to answer.
                if not call.ending or call.grpc.cancelled():
                    raise
                task.uncancel()
                raise self._refusal(Unavailable) from None
            finally:
                del admitted[call]
                self._settle()

        return admit

    def _end(self, admitted: dict[Call, asyncio.Task[Any]]) -> None:
        self.draining = True
        for call, task in admitted.items():
            call.end(task)

    def _settle(self) -> None:
        if not self.in_flight:
            self._idle.set()

    def _refusal(self, kind: type[Unavailable]) -> Unavailable:
        why = "The server is shutting down." if self.draining else "The server has too much to do."
        return kind(reasons.OVERLOADED, why, retry_after=self._retry_after)
