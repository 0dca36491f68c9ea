"""The client chain, channels and the translation of callees' errors."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from chassis import errors
from chassis.channels import Channels, UnknownPeer
from chassis.clock import SystemClock
from chassis.context import RequestContext, use
from chassis.errors import KINDS, DomainError, Unavailable, Violation
from chassis.ids import SystemIds
from chassis.telemetry.tracing import Tracing
from chassis.testing import eventually
from greenledger.operations.v1 import operations_pb2_grpc
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from interceptors.chain import client_chain
from interceptors.client_errors import callee_errors, domain_error
from interceptors.deadline import ClientDeadline
from interceptors.service_token import Token, TokenSource
from tests.integration.interceptors.harness import (
    OPERATIONS,
    ORDERS,
    Operations,
    outgoing,
    saga_request,
    serve,
    watch_request,
)


async def test_a_channel_is_shared_and_an_unknown_peer_names_the_setting() -> None:
    channels = Channels({"auth": "127.0.0.1:1"})
    assert channels.get("auth") is channels.get("auth")
    with pytest.raises(UnknownPeer, match="GREENLEDGER_PEERS"):
        channels.get("users")
    await channels.close()


async def test_the_token_is_attached_and_fetched_anew_after_a_refusal() -> None:
    operations = Operations()
    async with serve((OPERATIONS, operations)) as server:
        given: list[str] = []

        async def fetch() -> Token:
            claims = {"aud": "greenledger-services", "kind": "service", "sub": "orders"}
            value = "rubbish" if not given else server.issuer.token(**claims)
            given.append(value)
            return Token(value, SystemClock().now() + timedelta(hours=1))

        tokens = TokenSource(fetch, SystemClock(), least_interval=timedelta(0))
        async with outgoing(server.address, tokens=tokens) as channel:
            stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)
            with pytest.raises(grpc.aio.AioRpcError):
                await stub.GetSaga(saga_request())
            await stub.GetSaga(saga_request())
    assert len(given) == 2
    assert operations.calls == 1


async def test_no_token_is_fetched_for_a_public_method() -> None:
    async def fetch() -> Token:
        raise AssertionError("a public method needs none")

    tokens = TokenSource(fetch, SystemClock())
    async with serve() as server, outgoing(server.address, tokens=tokens) as channel:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await channel.unary_unary("/greenledger.auth.v1.AuthService/GetJwks")(b"")
    assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_the_default_timeout_and_a_longer_explicit_one() -> None:
    operations, seen = Operations(), []

    async def behaviour(_request: Any, context: Any) -> None:
        seen.append(context.time_remaining())

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server, outgoing(server.address) as channel:
        stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)
        await stub.GetSaga(saga_request(), metadata=server.authorized())
        await stub.GetSaga(saga_request(), metadata=server.authorized(), timeout=10)
        await stub.GetSaga(saga_request(), metadata=server.authorized(), timeout=1)
    assert 2 < seen[0] <= 3.1
    assert 9 < seen[1] <= 10.1
    assert seen[2] <= 1.1


class Watch(orders_pb2_grpc.OrderServiceServicer):
    """Streams a little, or without end."""

    def __init__(self) -> None:
        self.closed = asyncio.Event()
        self.remaining: list[float | None] = []

    async def WatchOrder(self, request: Any, context: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        self.remaining.append(context.time_remaining())
        try:
            yield orders_pb2.WatchOrderResponse(resume_token="1")
            if request.resume_token == "endless":
                await asyncio.Event().wait()
        finally:
            self.closed.set()


async def test_a_stream_has_no_default_timeout_and_its_end_is_counted() -> None:
    registry, watch = CollectorRegistry(), Watch()
    chain = client_chain(tracing=Tracing("test"), clock=SystemClock(), ids=SystemIds(), registry=registry)
    async with (
        serve((ORDERS, watch)) as server,
        grpc.aio.insecure_channel(server.address, interceptors=chain) as channel,
    ):
        stub: Any = orders_pb2_grpc.OrderServiceStub(channel)
        messages = [m async for m in stub.WatchOrder(watch_request(), metadata=server.authorized())]
        await eventually(lambda: ended(registry, "OK") == 1)
        request = watch_request()
        request.resume_token = "endless"
        call = stub.WatchOrder(request, metadata=server.authorized())
        assert (await call.read()).resume_token == "1"
        watch.closed.clear()
        call.cancel()
        async with asyncio.timeout(5):
            await watch.closed.wait()
        await eventually(lambda: ended(registry, "CANCELLED") == 1)
    assert len(messages) == 1
    assert watch.remaining == [None, None]


def ended(registry: CollectorRegistry, code: str) -> float | None:
    return registry.get_sample_value(
        "grpc_client_handled_total",
        {
            "grpc_type": "server_stream",
            "grpc_service": "greenledger.orders.v1.OrderService",
            "grpc_method": "WatchOrder",
            "grpc_code": code,
        },
    )


async def received(error: Exception) -> DomainError:
    operations = Operations()

    async def behaviour(_request: Any, _context: Any) -> None:
        raise error

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server, outgoing(server.address) as channel:
        stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)
        with pytest.raises(DomainError) as caught, callee_errors():
            await stub.GetSaga(saga_request(), metadata=server.authorized())
    return caught.value


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind is not errors.Unauthenticated])
async def test_a_callees_error_is_the_same_error_here(kind: type[DomainError]) -> None:
    sent = kind(
        "LOT_ODD",
        "The lot is odd.",
        metadata={"lot": "7"},
        violations=[Violation("lot_id", "is odd")],
        retry_after=timedelta(seconds=2),
        resource=("Lot", "7"),
    )
    got = await received(sent)
    assert type(got) is kind
    assert (got.reason, got.message, got.metadata) == (sent.reason, sent.message, sent.metadata)
    assert (got.violations, got.retry_after, got.resource) == (
        sent.violations,
        sent.retry_after,
        sent.resource,
    )


async def test_whatever_a_callee_does_not_believe_is_about_this_service_not_its_caller() -> None:
    got = await received(errors.Unauthenticated("LOGIN_FAILED", "Wrong."))
    assert isinstance(got, Unavailable)
    assert got.metadata["callee_reason"] == "LOGIN_FAILED"


async def test_a_broken_callee_is_unavailable_and_its_text_stays_there() -> None:
    got = await received(ValueError("secret"))
    assert isinstance(got, Unavailable)
    assert got.metadata["callee_code"] == "INTERNAL"
    assert "incident" not in got.message


async def test_a_callee_that_refuses_our_own_token_does_not_log_our_caller_out() -> None:
    async with serve((OPERATIONS, Operations())) as server, outgoing(server.address) as channel:
        stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)
        with pytest.raises(Unavailable) as missing, callee_errors():
            await stub.GetSaga(saga_request())
        with pytest.raises(Unavailable) as denied, callee_errors():
            await stub.GetSaga(saga_request(), metadata=server.authorized(scope=""))
    assert missing.value.metadata["callee_reason"] == "TOKEN_MISSING"
    assert denied.value.metadata["callee_reason"] == "PERMISSION_DENIED"


async def test_a_peer_that_is_not_there_is_unavailable_without_its_address() -> None:
    async with outgoing("127.0.0.1:1") as channel:
        stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)

        @callee_errors()
        async def ask() -> Any:
            return await stub.GetSaga(saga_request(), timeout=5)

        with pytest.raises(Unavailable) as caught:
            await ask()
    assert "127.0.0.1" not in caught.value.message


@pytest.mark.parametrize(
    ("left_s", "kind"),
    [(None, errors.DeadlineExceeded), (0.3, errors.DeadlineExceeded), (60.0, Unavailable)],
    ids=["outside any request", "of a request whose time is over", "of a request with time left"],
)
async def test_a_callees_timeout_is_a_late_answer_or_one_that_may_be_asked_for_again(
    left_s: float | None, kind: type[DomainError]
) -> None:
    operations = Operations()

    async def behaviour(_request: Any, _context: Any) -> None:
        await asyncio.Event().wait()

    operations.behaviour = behaviour
    deadline = ClientDeadline(SystemClock(), default=timedelta(milliseconds=100))
    async with (
        serve((OPERATIONS, operations)) as server,
        outgoing(server.address, deadline=deadline) as channel,
    ):
        stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)
        ends_at = None if left_s is None else SystemClock().monotonic() + left_s
        with use(RequestContext(deadline=ends_at)), pytest.raises(kind) as caught, callee_errors():
            await stub.GetSaga(saga_request(), metadata=server.authorized())
    assert caught.value.reason == ("UNAVAILABLE" if kind is Unavailable else "DEADLINE_EXPIRED")


def test_an_error_without_a_status_is_a_broken_callee() -> None:
    assert isinstance(domain_error(grpc.RpcError()), Unavailable)
