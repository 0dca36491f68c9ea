"""The client chain as grpc.aio interceptors: one implementation for the four kinds of call."""

import asyncio
from collections.abc import AsyncIterable, Callable, Iterable, Sequence
from typing import Any

import grpc

from interceptors.outgoing import ClientPolicy, Outgoing

_Details = grpc.aio.ClientCallDetails


class ClientChain:
    """Runs the policies around a call, in their order before and in reverse after.

    Args:
        policies: outermost first.
    """

    def __init__(self, policies: Sequence[ClientPolicy]) -> None:
        self._policies = tuple(policies)
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
        outgoing = Outgoing(path, details.timeout, list(details.metadata or ()), streams)
        call = await self._begin(continuation, details, outgoing, request)
        if streams:
            call.add_done_callback(lambda _: self._end_later(call, outgoing))
            return call
        try:
            code = await call.code()
        except asyncio.CancelledError:
            # Waiting for the status is not waiting for the call: without this it would go on at the peer.
            call.cancel()
            self._end(outgoing, grpc.StatusCode.CANCELLED)
            raise
        self._end(outgoing, code)
        return call

    async def _begin(
        self,
        continuation: Callable[[_Details, Any], Any],
        details: _Details,
        outgoing: Outgoing,
        request: Any,
    ) -> Any:
        prepared: list[ClientPolicy] = []
        try:
            for policy in self._policies:
                await policy.before(outgoing)
                prepared.append(policy)
            metadata = grpc.aio.Metadata(*outgoing.metadata)
            changed = _Details(
                details.method, outgoing.timeout_s, metadata, details.credentials, details.wait_for_ready
            )
            return await continuation(changed, request)
        except BaseException:
            _end_all(prepared, outgoing, grpc.StatusCode.CANCELLED)
            raise

    def _end(self, outgoing: Outgoing, code: grpc.StatusCode) -> None:
        _end_all(self._policies, outgoing, code)

    def _end_later(self, call: Any, outgoing: Outgoing) -> None:
        # The status of a finished call is there, but grpc.aio gives it to coroutines only.
        task = asyncio.ensure_future(self._end_stream(call, outgoing))
        self._ending.add(task)
        task.add_done_callback(self._ending.discard)

    async def _end_stream(self, call: Any, outgoing: Outgoing) -> None:
        self._end(outgoing, await call.code())


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
