"""The two ends of the chain: grpc.aio's handler objects outside, the servicer's methods inside.

All four kinds and both styles of stream handler (async generator, coroutine that writes) become one
shape, `async (request, call) -> response`. Parsing and, where messages do not stream, serialising happen
inside the chain, so that nothing is parsed for a caller who is refused and a bad message is our error.
"""

import inspect
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, TypeAlias, cast

import grpc
from google.protobuf import message_factory

from interceptors.call import Call, Context, Method, Proceed, declared_policy, method_descriptor

if TYPE_CHECKING:
    Handler: TypeAlias = grpc.RpcMethodHandler[Any, Any]
else:
    Handler = grpc.RpcMethodHandler  # generic in its stubs only

_KINDS = {
    (False, False): "unary",
    (False, True): "server_stream",
    (True, False): "client_stream",
    (True, True): "bidi_stream",
}


received: ContextVar[tuple[tuple[str, str | bytes], ...]] = ContextVar("greenledger_received_metadata")
"""Headers of the call, as the interceptor got them: asking the context decodes them a second time."""


class MethodUnknown(Exception):
    """The path is not served here."""


def describe(path: str, handler: Handler) -> Method:
    """What is known of a served method before its first call."""
    descriptor = method_descriptor(path)
    return Method(
        path=path,
        kind=_KINDS[bool(handler.request_streaming), bool(handler.response_streaming)],
        policy=declared_policy(path),
        parse=handler.request_deserializer,
        request_type=None if descriptor is None else message_factory.GetMessageClass(descriptor.input_type),
    )


def innermost(handler: Handler) -> Proceed:
    """Call the servicer's method, whatever its kind and style."""
    behaviour = handler.unary_unary or handler.unary_stream or handler.stream_unary or handler.stream_stream
    if inspect.isasyncgenfunction(behaviour):
        return _generator(behaviour)
    if getattr(behaviour, "__module__", "").endswith("_pb2_grpc"):
        return unknown  # the generated stand-in of a method that the servicer does not have
    if not inspect.iscoroutinefunction(behaviour):
        # grpc.aio would run it in a thread, without the context and at 0.7 of the speed.
        raise TypeError(f"{behaviour!r} must be `async def`")
    return _writer(behaviour) if handler.response_streaming else _answerer(handler, behaviour)


async def unknown(_request: object, _call: Call) -> None:
    """The innermost handler of every path that is not served."""
    raise MethodUnknown


def outermost(method: Method, handler: Handler | None, proceed: Proceed) -> Handler:
    """The object that grpc.aio calls for a method; it hands over bytes."""

    async def enter(request: Any, context: Context) -> Any:
        return await proceed(request, Call(method, context, dict(received.get())))

    if handler is None:
        # A bidirectional handler can refuse a call of any kind.
        return grpc.stream_stream_rpc_method_handler(enter)
    make: Callable[..., Handler] = getattr(grpc, _MAKERS[method.kind])
    return make(enter, None, handler.response_serializer if handler.response_streaming else None)


_MAKERS = {
    "unary": "unary_unary_rpc_method_handler",
    "server_stream": "unary_stream_rpc_method_handler",
    "client_stream": "stream_unary_rpc_method_handler",
    "bidi_stream": "stream_stream_rpc_method_handler",
}


def _answerer(handler: Handler, behaviour: Callable[[Any, Context], Any]) -> Proceed:
    serialize: Callable[[Any], bytes] = handler.response_serializer or bytes

    async def answer(request: Any, call: Call) -> bytes:
        return serialize(await behaviour(request, call.grpc))

    return answer


def _writer(behaviour: Callable[[Any, Context], Any]) -> Proceed:
    async def write(request: Any, call: Call) -> None:
        await behaviour(request, cast(Context, _WritingContext(call)))

    return write


class _WritingContext:
    """The servicer's context, with the call's own `write`."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self.write = call.write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._call.grpc, name)


def _generator(behaviour: Callable[[Any, Context], AsyncIterator[Any]]) -> Proceed:
    async def pump(request: Any, call: Call) -> None:
        # Closed at once when the caller leaves, so that the handler's `finally` runs now, not at collection.
        messages: Any = behaviour(request, call.grpc)
        async with aclosing(messages):
            async for message in messages:
                await call.write(message)

    return pump
