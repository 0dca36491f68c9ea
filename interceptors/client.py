"""The client chain as grpc.aio interceptors: one implementation for the four kinds of call."""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import Any

import grpc

from chassis.clock import Clock
from chassis.errors import DomainError
from chassis.resilience import Callees, StaleAnswers
from interceptors.attempts import Attempts, Delivery
from interceptors.fallback import Fallback
from interceptors.guard import Guard
from interceptors.outgoing import ClientPolicy, Outgoing, target_of
from interceptors.status import status_code

_Details = grpc.aio.ClientCallDetails


class ClientChain:
    """Runs the policies around a call, in their order before and in reverse after.

    Args:
        policies: outermost first.
        callees: what is kept of those who are called.
        clock: the instants of `Outgoing.deadline`.
        delivery: what calls without streams go through, inside the policies; default fallback, guard and
            attempts.
    """

    def __init__(
        self,
        policies: Sequence[ClientPolicy],
        callees: Callees,
        clock: Clock,
        *,
        delivery: Delivery | None = None,
    ) -> None:
        self._policies = tuple(policies)
        self._callees = callees
        self._clock = clock
        self._delivery = delivery or Fallback(Guard(Attempts(clock)), StaleAnswers(clock), clock)
        self._ending: set[asyncio.Task[None]] = set()

    def interceptors(self) -> list[grpc.aio.ClientInterceptor]:
        """What a grpc.aio channel takes: it wants a separate object per kind of call."""
        return [_UnaryUnary(self), _UnaryStream(self), _StreamUnary(self), _StreamStream(self)]

    async def send(
        self,
        continuation: Callable[[_Details, Any], Any],
        details: _Details,
        request: Any,
        *,
        streams: bool,
    ) -> Any:
        """Prepare and send one call; returns it once it has ended, or once its stream is open."""
        path = details.method if isinstance(details.method, str) else details.method.decode()
        target = target_of(path)
        outgoing = Outgoing(
            target,
            self._callees.get(target.callee),
            details.timeout,
            list(details.metadata or ()),
            streams,
            request,
        )

        async def begin(outgoing: Outgoing) -> Any:
            return await continuation(self._changed(details, outgoing), request)

        prepared: list[ClientPolicy] = []
        code = grpc.StatusCode.CANCELLED
        try:
            for policy in self._policies:
                await policy.before(outgoing)
                prepared.append(policy)
            if streams:
                call = await begin(outgoing)
                call.add_done_callback(lambda _: self._end_later(call, outgoing))
                prepared = []  # they hear of its end later
                return call
            answer, code = await self._delivery.send(outgoing, begin)
            return answer
        except DomainError as error:
            code = status_code(error)
            raise
        finally:
            _end_all(prepared, outgoing, code)

    def _changed(self, details: _Details, outgoing: Outgoing) -> _Details:
        timeout_s = outgoing.timeout_s
        if outgoing.deadline is not None:
            timeout_s = max(0.0, outgoing.deadline - self._clock.monotonic())
        metadata = grpc.aio.Metadata(*outgoing.metadata)
        return _Details(details.method, timeout_s, metadata, details.credentials, details.wait_for_ready)

    def _end_later(self, call: Any, outgoing: Outgoing) -> None:
        # The status of a finished call is there, but grpc.aio gives it to coroutines only.
        task = asyncio.ensure_future(self._end_stream(call, outgoing))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end_stream(self, call: Any, outgoing: Outgoing) -> None:
        _end_all(self._policies, outgoing, await call.code())


def _end_all(policies: Iterable[ClientPolicy], outgoing: Outgoing, code: grpc.StatusCode) -> None:
    for policy in reversed(list(policies)):
        policy.after(outgoing, code)


class _UnaryUnary(grpc.aio.UnaryUnaryClientInterceptor):
    def __init__(self, chain: ClientChain) -> None:
        self._chain = chain

    async def intercept_unary_unary(
        self, continuation: Callable[[_Details, Any], Any], client_call_details: _Details, request: Any
    ) -> Any:
        return await self._chain.send(continuation, client_call_details, request, streams=False)


class _UnaryStream(grpc.aio.UnaryStreamClientInterceptor):
    def __init__(self, chain: ClientChain) -> None:
        self._chain = chain

    async def intercept_unary_stream(
        self, continuation: Callable[[_Details, Any], Any], client_call_details: _Details, request: Any
    ) -> Any:
        return await self._chain.send(continuation, client_call_details, request, streams=True)


class _StreamUnary(grpc.aio.StreamUnaryClientInterceptor):
    def __init__(self, chain: ClientChain) -> None:
        self._chain = chain

    async def intercept_stream_unary(
        self,
        continuation: Callable[[_Details, Any], Any],
        client_call_details: _Details,
        request_iterator: AsyncIterable[Any] | Iterable[Any],
    ) -> Any:
        # The caller may still be writing: the status comes later, as with a stream of responses.
        return await self._chain.send(continuation, client_call_details, request_iterator, streams=True)


class _StreamStream(grpc.aio.StreamStreamClientInterceptor):
    def __init__(self, chain: ClientChain) -> None:
        self._chain = chain

    async def intercept_stream_stream(
        self,
        continuation: Callable[[_Details, Any], Any],
        client_call_details: _Details,
        request_iterator: AsyncIterable[Any] | Iterable[Any],
    ) -> Any:
        return await self._chain.send(continuation, client_call_details, request_iterator, streams=True)
