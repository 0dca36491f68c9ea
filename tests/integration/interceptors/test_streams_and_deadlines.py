"""Streams of both styles, deadlines over hops, cancellation."""

import asyncio
import time
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from grpc_reflection.v1alpha import reflection, reflection_pb2, reflection_pb2_grpc

from chassis import context
from chassis.clock import SystemClock
from chassis.errors import DeadlineExceeded, NotFound
from chassis.testing import eventually
from greenledger.operations.v1 import operations_pb2_grpc
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from interceptors.client_errors import callee_errors
from interceptors.deadline import Deadline
from interceptors.service_token import Token, TokenSource
from interceptors.status import NOT_BEGUN_KEY
from tests.integration.interceptors.harness import (
    OPERATIONS,
    ORDERS,
    Operations,
    Server,
    outgoing,
    reason,
    saga_request,
    serve,
    watch_request,
)


class Generator(orders_pb2_grpc.OrderServiceServicer):
    """Streams by async generator."""

    def __init__(self, fail: bool = False, endless: bool = False) -> None:
        self.fail, self.endless = fail, endless
        self.closed = 0
        self.principals: list[Any] = []

    async def WatchOrder(self, request: Any, context_: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        self.principals.append(context.current().principal)
        try:
            for token in ("1", "2"):
                yield orders_pb2.WatchOrderResponse(resume_token=token)
            if self.fail:
                raise NotFound("ORDER_GONE", "Gone.")
            while self.endless:
                await asyncio.sleep(0.01)
                yield orders_pb2.WatchOrderResponse(heartbeat=True)
        finally:
            self.closed += 1


class Writer(orders_pb2_grpc.OrderServiceServicer):
    """Streams by a coroutine that writes."""

    def __init__(self, fail: bool = False, endless: bool = False) -> None:
        self.fail, self.endless = fail, endless
        self.closed = 0
        self.principals: list[Any] = []

    async def WatchOrder(self, request: Any, context_: Any) -> None:
        self.principals.append(context.current().principal)
        try:
            for token in ("1", "2"):
                await context_.write(orders_pb2.WatchOrderResponse(resume_token=token))
            if self.fail:
                raise NotFound("ORDER_GONE", "Gone.")
            while self.endless:
                await asyncio.sleep(0.01)
                await context_.write(orders_pb2.WatchOrderResponse(heartbeat=True))
        finally:
            self.closed += 1


async def read_to_end(call: Any, tokens: list[str]) -> None:
    while (message := await call.read()) is not grpc.aio.EOF:
        tokens.append(message.resume_token)


STYLES = pytest.mark.parametrize("style", [Generator, Writer])


@STYLES
async def test_a_stream_of_either_style_delivers_and_ends(style: Any) -> None:
    servicer = style()
    async with serve((ORDERS, servicer)) as server:
        call = server.orders.WatchOrder(watch_request(), metadata=server.authorized())
        tokens = [message.resume_token async for message in call]
        assert await call.code() is grpc.StatusCode.OK
    assert tokens == ["1", "2"]
    assert servicer.principals[0].subject == "user-1"


@STYLES
async def test_an_error_after_messages_arrives_with_its_reason(style: Any) -> None:
    async with serve((ORDERS, style(fail=True))) as server:
        call = server.orders.WatchOrder(watch_request(), metadata=server.authorized())
        tokens: list[str] = []
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await read_to_end(call, tokens)
    assert tokens == ["1", "2"]
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.NOT_FOUND, "ORDER_GONE")


@STYLES
async def test_a_stream_is_refused_before_its_first_message_when_the_request_is_wrong(style: Any) -> None:
    servicer = style()
    async with serve((ORDERS, servicer)) as server:
        bad = orders_pb2.WatchOrderRequest(order_id="7")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.orders.WatchOrder(bad, metadata=server.authorized()).read()
    assert reason(caught.value) == "VALIDATION_FAILED"
    assert servicer.principals == []


@STYLES
async def test_a_client_that_leaves_ends_the_handler_and_the_gauge_falls(style: Any) -> None:
    servicer = style(endless=True)
    labels = {"grpc_service": "greenledger.orders.v1.OrderService", "principal_kind": "user"}
    async with serve((ORDERS, servicer)) as server:

        def open_streams() -> float | None:
            return server.registry.get_sample_value("greenledger_open_streams", labels)

        call = server.orders.WatchOrder(watch_request(), metadata=server.authorized())
        await call.read()
        assert open_streams() == 1
        call.cancel()
        await eventually(lambda: servicer.closed == 1)
        await eventually(lambda: open_streams() == 0)
        await eventually(lambda: handled(server, "CANCELLED") == 1)


def handled(server: Server, code: str) -> float | None:
    return server.registry.get_sample_value(
        "grpc_server_handled_total",
        {
            "grpc_type": "server_stream",
            "grpc_service": "greenledger.orders.v1.OrderService",
            "grpc_method": "WatchOrder",
            "grpc_code": code,
        },
    )


@STYLES
async def test_draining_ends_streams_with_unavailable_and_refuses_new_calls(style: Any) -> None:
    servicer = style(endless=True)
    async with serve((ORDERS, servicer)) as server:
        call = server.orders.WatchOrder(watch_request(), metadata=server.authorized())
        await call.read()
        server.admission.end_streams()
        with pytest.raises(grpc.aio.AioRpcError) as ended:
            await read_to_end(call, [])
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await server.orders.WatchOrder(watch_request(), metadata=server.authorized()).read()
        async with asyncio.timeout(5):
            await server.admission.idle()
    for caught in (ended, refused):
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
        assert reason(caught.value) == "OVERLOADED"
    assert servicer.closed == 1


async def test_a_call_whose_time_to_finish_is_over_is_told_to_ask_again() -> None:
    operations, working = Operations(), asyncio.Event()

    async def behaviour(_request: Any, _context: Any) -> None:
        working.set()
        await asyncio.Event().wait()

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server:
        call = asyncio.ensure_future(server.operations.GetSaga(saga_request(), metadata=server.authorized()))
        await working.wait()
        server.admission.drain()
        assert server.admission.in_flight == 1
        server.admission.end_calls()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await call
        async with asyncio.timeout(5):
            await server.admission.idle()
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    assert reason(caught.value) == "OVERLOADED"
    assert NOT_BEGUN_KEY not in dict(caught.value.trailing_metadata()), "it was"


async def test_a_bidirectional_stream_passes_the_chain() -> None:
    names = ["greenledger.operations.v1.OperationsService", reflection.SERVICE_NAME]

    def add(_servicer: object, grpc_server: grpc.aio.Server) -> None:
        reflection.enable_server_reflection(names, grpc_server)

    async with serve((OPERATIONS, Operations()), (add, None)) as server:
        stub = reflection_pb2_grpc.ServerReflectionStub(server.channel)
        call = stub.ServerReflectionInfo(
            iter([reflection_pb2.ServerReflectionRequest(list_services="") for _ in range(2)])
        )
        answers = [answer async for answer in call]
    assert len(answers) == 2
    assert {s.name for s in answers[0].list_services_response.service} == set(names)


async def test_a_call_without_a_deadline_ends_at_the_default() -> None:
    operations = Operations()

    async def behaviour(_request: Any, _context: Any) -> None:
        await asyncio.Event().wait()

    operations.behaviour = behaviour
    limit = Deadline(SystemClock(), default=timedelta(milliseconds=50))
    async with serve((OPERATIONS, operations), deadline=limit) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.operations.GetSaga(saga_request(), metadata=server.authorized())
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert reason(caught.value) == "DEADLINE_EXPIRED"


async def test_a_deadline_beyond_the_cap_is_cut() -> None:
    operations, seen = Operations(), []

    async def behaviour(_request: Any, _context: Any) -> None:
        deadline = context.current().deadline
        assert deadline is not None
        seen.append(deadline - time.monotonic())

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server:
        for timeout in (3600, 30, None):
            await server.operations.GetSaga(saga_request(), metadata=server.authorized(), timeout=timeout)
    assert 59 < seen[0] <= 60
    assert 29 < seen[1] <= 30.5
    assert 14 < seen[2] <= 15


async def test_a_handlers_own_timeout_is_not_the_calls_deadline() -> None:
    operations = Operations()

    async def behaviour(_request: Any, _context: Any) -> None:
        raise TimeoutError

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.operations.GetSaga(saga_request(), metadata=server.authorized())
    assert caught.value.code() is grpc.StatusCode.INTERNAL


class Relay(Operations):
    """Asks the next server through the client chain."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        super().__init__()
        self.stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)
        self.seen: list[context.RequestContext] = []

    async def GetSaga(self, request: Any, context_: Any) -> Any:
        self.seen.append(context.current())
        with callee_errors():
            return await self.stub.GetSaga(request)


async def test_deadline_ids_and_trace_travel_over_two_hops_with_the_services_own_token() -> None:
    last, seen = Operations(), []

    async def behaviour(_request: Any, _context: Any) -> None:
        seen.append(context.current())

    last.behaviour = behaviour
    async with serve((OPERATIONS, last)) as inner:

        async def fetch() -> Token:
            claims = {"aud": "greenledger-services", "kind": "service", "sub": "orders"}
            expires = SystemClock().now() + timedelta(hours=1)
            return Token(inner.issuer.token(**claims), expires)

        async with outgoing(inner.address, tokens=TokenSource(fetch, SystemClock())) as channel:
            relay = Relay(channel)
            async with serve((OPERATIONS, relay), issuer=inner.issuer) as outer:
                traceparent = f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-00"
                metadata = (
                    *outer.authorized(),
                    ("x-request-id", "req-1"),
                    ("x-correlation-id", "corr-1"),
                    ("traceparent", traceparent),
                )
                await outer.operations.GetSaga(saga_request(), metadata=metadata, timeout=2)
    first, second = relay.seen[0], seen[0]
    assert (second.request_id, second.correlation_id) == ("req-1", "corr-1")
    assert second.traceparent == first.traceparent == traceparent
    assert second.principal is not None
    assert (second.principal.subject, second.principal.kind) == ("orders", "service")
    assert first.deadline is not None
    assert second.deadline is not None
    assert second.deadline < first.deadline


async def test_when_no_time_is_left_the_next_hop_is_not_called_at_all() -> None:
    last = Operations()
    async with serve((OPERATIONS, last)) as inner, outgoing(inner.address) as channel:
        stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)
        late = context.RequestContext(deadline=time.monotonic() + 0.01)
        with context.use(late), pytest.raises(DeadlineExceeded, match="No time was left"):
            await stub.GetSaga(saga_request(), metadata=inner.authorized())
    assert last.calls == 0


async def test_a_deadline_that_passes_cancels_both_hops() -> None:
    last, cancelled = Operations(), asyncio.Event()

    async def behaviour(_request: Any, _context: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    last.behaviour = behaviour
    async with serve((OPERATIONS, last)) as inner, outgoing(inner.address) as channel:
        relay = Relay(channel)

        async def forward(request: Any, _context: Any) -> Any:
            with callee_errors():
                return await relay.stub.GetSaga(request, metadata=inner.authorized())

        first = Operations()
        first.behaviour = forward
        async with serve((OPERATIONS, first), issuer=inner.issuer) as outer:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await outer.operations.GetSaga(saga_request(), metadata=outer.authorized(), timeout=0.3)
            async with asyncio.timeout(5):
                await cancelled.wait()
            await eventually(lambda: outer.admission.in_flight == inner.admission.in_flight == 0)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_a_client_that_cancels_cancels_both_hops_and_it_counts_as_no_error() -> None:
    last, started, cancelled = Operations(), asyncio.Event(), asyncio.Event()

    async def behaviour(_request: Any, _context: Any) -> None:
        started.set()
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    last.behaviour = behaviour
    async with serve((OPERATIONS, last)) as inner, outgoing(inner.address) as channel:
        stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)

        async def forward(request: Any, _context: Any) -> Any:
            return await stub.GetSaga(request, metadata=inner.authorized())

        first = Operations()
        first.behaviour = forward
        async with serve((OPERATIONS, first), issuer=inner.issuer) as outer:
            call = outer.operations.GetSaga(saga_request(), metadata=outer.authorized(), timeout=30)
            waiting = asyncio.ensure_future(call)
            async with asyncio.timeout(5):
                await started.wait()
                waiting.cancel()
                await cancelled.wait()
            for server in (outer, inner):
                await eventually(lambda server=server: unary(server, "CANCELLED") == 1)
                assert unary(server, "INTERNAL") is None


def unary(server: Server, code: str) -> float | None:
    return server.registry.get_sample_value(
        "grpc_server_handled_total",
        {
            "grpc_type": "unary",
            "grpc_service": "greenledger.operations.v1.OperationsService",
            "grpc_method": "GetSaga",
            "grpc_code": code,
        },
    )
