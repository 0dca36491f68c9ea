"""Repeats of calls: which, when, how often, and what they must never do."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis import context, errors
from chassis.clock import SystemClock
from chassis.errors import DomainError, Unavailable
from chassis.resilience import LEAST_RETRIES, BreakerPolicy, Callees, CallPolicy
from chassis.telemetry.tracing import Tracing
from chassis.testing import eventually
from greenledger.operations.v1 import operations_pb2, operations_pb2_grpc
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from interceptors.attempts import Attempts
from interceptors.client_errors import callee_errors
from interceptors.status import NotBegun
from tests.integration.interceptors.harness import (
    OPERATIONS,
    ORDERS,
    Operations,
    Server,
    outgoing,
    saga_request,
    serve,
    watch_request,
)

AWAY = Unavailable("UNAVAILABLE", "Away.")
PATIENT = CallPolicy(breaker=BreakerPolicy(disabled=True))


class Flaky(Operations):
    """Fails the first calls."""

    def __init__(self, failures: int, error: Exception = AWAY) -> None:
        super().__init__()
        self.left, self.error = failures, error
        self.behaviour = self.fail

    async def fail(self, _request: Any, _context: Any) -> None:
        if self.left:
            self.left -= 1
            raise self.error

    async def RetrySaga(self, request: Any, context: Any) -> Any:
        return await self.GetSaga(request, context)


class Waits:
    """Stands for sleeping, and notes for how long."""

    def __init__(self) -> None:
        self.seconds: list[float] = []

    async def __call__(self, seconds: float) -> None:
        self.seconds.append(seconds)
        await asyncio.sleep(0)


class Caller:
    """A stub behind the client chain, and what was kept of its callee."""

    def __init__(self, channel: grpc.aio.Channel, server: Server, callees: Callees, waits: Waits) -> None:
        self.stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)
        self.orders: Any = orders_pb2_grpc.OrderServiceStub(channel)
        self.callee = callees.get("operations")
        self.waits = waits
        self.metadata = server.authorized()  # once: to sign one costs more than a call

    async def get(self, timeout: float = 5, **details: Any) -> Any:
        """A read, which may be repeated."""
        return await self.stub.GetSaga(saga_request(), metadata=self.metadata, timeout=timeout, **details)

    async def refused(self, **details: Any) -> grpc.StatusCode:
        """The status of a read that fails."""
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await self.get(**details)
        return caught.value.code()


@asynccontextmanager
async def calling(
    operations: Operations,
    policy: CallPolicy = PATIENT,
    *,
    tracing: Tracing | None = None,
    jitter: float = 1.0,
) -> AsyncIterator[Caller]:
    callees, waits = Callees(SystemClock(), policy), Waits()
    attempts = Attempts(SystemClock(), sleep=waits, jitter=lambda: jitter)
    async with (
        serve((OPERATIONS, operations), (ORDERS, Watch())) as server,
        outgoing(server.address, callees=callees, attempts=attempts, tracing=tracing) as channel,
    ):
        yield Caller(channel, server, callees, waits)


class Watch(orders_pb2_grpc.OrderServiceServicer):
    """A stream that fails before its first message."""

    def __init__(self) -> None:
        self.calls = 0

    async def WatchOrder(self, request: Any, context: Any) -> AsyncIterator[Any]:  # type: ignore[override]
        self.calls += 1
        raise AWAY
        yield orders_pb2.WatchOrderResponse()


async def test_a_read_is_tried_again_while_its_callee_is_unavailable() -> None:
    flaky = Flaky(2)
    async with calling(flaky) as caller:
        await caller.get()
        assert caller.callee.attempts == flaky.calls == 3
        assert caller.callee.retried == {"unavailable": 2}
        assert caller.callee.bulkhead.under_way == 0


async def test_after_the_last_attempt_its_error_is_the_calls_error() -> None:
    flaky = Flaky(10_000)
    async with calling(flaky) as caller:
        assert await caller.refused() is grpc.StatusCode.UNAVAILABLE
    assert flaky.calls == 3


@pytest.mark.parametrize(
    "error",
    [
        errors.Aborted("CONFLICT", "Lost."),
        errors.NotFound("GONE", "Gone."),
        errors.ResourceExhausted("RATE_LIMITED", "Slowly."),
        errors.DeadlineExceeded("DEADLINE_EXPIRED", "Late."),
        ValueError("a defect"),
    ],
)
async def test_other_answers_are_not_repeated(error: Exception) -> None:
    flaky = Flaky(2, error)
    async with calling(flaky) as caller:
        await caller.refused()
    assert flaky.calls == 1


async def test_a_write_without_a_request_id_is_tried_once() -> None:
    flaky = Flaky(2)
    async with calling(flaky) as caller:
        request = operations_pb2.RetrySagaRequest(saga_id=str(uuid.uuid4()), why="test")
        with pytest.raises(grpc.aio.AioRpcError):
            await caller.stub.RetrySaga(request, metadata=caller.metadata, timeout=5)
    assert flaky.calls == 1


async def test_what_its_callee_has_not_begun_is_tried_again_whatever_it_is() -> None:
    flaky = Flaky(2, NotBegun("OVERLOADED", "Leaving."))
    async with calling(flaky) as caller:
        request = operations_pb2.RetrySagaRequest(saga_id=str(uuid.uuid4()), why="test")
        await caller.stub.RetrySaga(request, metadata=caller.metadata, timeout=5)
    assert flaky.calls == 3


async def test_a_stream_is_not_repeated_since_its_reader_knows_where_to_resume() -> None:
    watch = Watch()
    async with serve((ORDERS, watch)) as server, outgoing(server.address) as channel:
        stub: Any = orders_pb2_grpc.OrderServiceStub(channel)
        with pytest.raises(grpc.aio.AioRpcError):
            async for _ in stub.WatchOrder(watch_request(), metadata=server.authorized()):
                pass
    assert watch.calls == 1


async def test_waits_double_up_to_their_maximum() -> None:
    policy = CallPolicy(
        attempts=5,
        backoff=timedelta(milliseconds=50),
        max_backoff=timedelta(milliseconds=150),
        breaker=BreakerPolicy(disabled=True),
    )
    async with calling(Flaky(4), policy) as caller:
        await caller.get()
        assert caller.waits.seconds == pytest.approx([0.05, 0.1, 0.15, 0.15])


async def test_the_time_that_a_callee_asks_for_is_waited() -> None:
    busy = Unavailable("OVERLOADED", "Busy.", retry_after=timedelta(milliseconds=300))
    async with calling(Flaky(1, busy), jitter=0.0) as caller:
        await caller.get()
        assert caller.waits.seconds == pytest.approx([0.3])


async def test_nothing_is_repeated_that_would_end_after_the_deadline() -> None:
    busy = Unavailable("OVERLOADED", "Busy.", retry_after=timedelta(seconds=30))
    flaky = Flaky(10, busy)
    async with calling(flaky) as caller:
        assert await caller.refused(timeout=5) is grpc.StatusCode.UNAVAILABLE
        assert caller.waits.seconds == []
    assert flaky.calls == 1


async def test_what_remains_of_a_callers_deadline_bounds_all_attempts() -> None:
    seen = []
    flaky = Flaky(2)

    async def behaviour(request: Any, servicer_context: Any) -> None:
        seen.append(servicer_context.time_remaining())
        await flaky.fail(request, servicer_context)

    flaky.behaviour = behaviour
    async with calling(flaky) as caller:
        deadline = SystemClock().monotonic() + 2
        with context.use(context.RequestContext(deadline=deadline)):
            await caller.get(timeout=60)
    assert len(seen) == 3
    assert seen[0] <= 2.01
    assert seen[2] <= seen[0] + 0.05  # gRPC rounds deadlines up on their way


async def test_an_attempt_that_hangs_is_given_up_for_another_one() -> None:
    operations = Operations()

    async def behaviour(_request: Any, _context: Any) -> None:
        if operations.calls == 1:
            await asyncio.Event().wait()

    operations.behaviour = behaviour
    policy = CallPolicy(per_try_timeout=timedelta(milliseconds=100), breaker=BreakerPolicy(disabled=True))
    async with calling(operations, policy) as caller:
        await caller.get()
        assert caller.callee.retried["timeout"] >= 1
    assert operations.calls >= 2


async def test_an_attempt_is_not_cut_off_when_no_other_could_follow_in_time() -> None:
    operations = Operations()

    async def behaviour(_request: Any, _context: Any) -> None:
        await asyncio.Event().wait()

    operations.behaviour = behaviour
    policy = CallPolicy(per_try_timeout=timedelta(milliseconds=200), breaker=BreakerPolicy(disabled=True))
    async with calling(operations, policy) as caller:
        assert await caller.refused(timeout=0.22) is grpc.StatusCode.DEADLINE_EXCEEDED
    assert operations.calls == 1


async def test_an_attempt_that_nobody_may_repeat_is_not_cut_off() -> None:
    silent = Flaky(0)

    async def behaviour(_request: Any, _context: Any) -> None:
        await asyncio.Event().wait()

    silent.behaviour = behaviour
    policy = CallPolicy(per_try_timeout=timedelta(milliseconds=50), breaker=BreakerPolicy(disabled=True))
    async with calling(silent, policy) as caller:
        request = operations_pb2.RetrySagaRequest(saga_id=str(uuid.uuid4()), why="test")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await caller.stub.RetrySaga(request, metadata=caller.metadata, timeout=0.5)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    assert silent.calls == 1


async def test_an_attempt_is_not_cut_off_when_the_budget_is_spent() -> None:
    operations, release = Operations(), asyncio.Event()

    async def behaviour(_request: Any, _context: Any) -> None:
        await release.wait()

    operations.behaviour = behaviour
    policy = CallPolicy(per_try_timeout=timedelta(milliseconds=50), breaker=BreakerPolicy(disabled=True))
    async with calling(operations, policy) as caller:
        for _ in range(LEAST_RETRIES):
            assert caller.callee.budget.take()
        call = asyncio.ensure_future(caller.get())
        await eventually(lambda: caller.callee.refused.get("budget") == 1)
        release.set()
        await call
    assert operations.calls == 1


async def test_a_caller_who_leaves_ends_the_attempt_and_frees_everything() -> None:
    operations, left = Operations(), asyncio.Event()

    async def behaviour(_request: Any, _context: Any) -> None:
        try:
            await asyncio.Event().wait()
        finally:
            left.set()

    operations.behaviour = behaviour
    async with calling(operations) as caller:
        call = asyncio.ensure_future(caller.get())
        await eventually(lambda: operations.calls == 1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(5):
            await left.wait()
        await eventually(lambda: caller.callee.bulkhead.under_way == 0)
        assert caller.callee.retried == {}


async def test_a_server_that_stops_before_a_call_has_begun_costs_a_retry_and_no_error() -> None:
    flaky = Flaky(0)

    async def cancelled(_request: Any, servicer_context: Any) -> None:
        if flaky.calls == 1:
            await servicer_context.abort(grpc.StatusCode.CANCELLED, "the server is shutting down")

    flaky.behaviour = cancelled
    async with calling(flaky) as caller:
        await caller.get()
        assert caller.callee.retried == {"cancelled": 1}


async def test_the_span_tells_how_many_attempts_a_call_took() -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing("test", exporter, sample_ratio=1.0, batch=False)
    async with calling(Flaky(1), tracing=tracing) as caller:
        await caller.get()
    (span,) = exporter.get_finished_spans()
    assert dict(span.attributes or {})["greenledger.attempts"] == 2


@pytest.mark.parametrize(("callers", "rounds"), [(1, 100), (20, 5), (200, 5)])
async def test_a_dependency_that_fails_for_everybody_is_not_stormed(callers: int, rounds: int) -> None:
    """All call at once, and again and again: what exceeds one attempt a call stays within the budget."""
    flaky = Flaky(1_000_000)
    async with calling(flaky) as caller:

        async def call() -> None:
            for _ in range(rounds):
                with pytest.raises((grpc.aio.AioRpcError, DomainError)):
                    await caller.get(timeout=30)

        await asyncio.gather(*(call() for _ in range(callers)))
        attempts = caller.callee.attempts
    # Three attempts for each would be 3.0. A slow run may begin the ten that are always allowed once more.
    assert flaky.calls <= attempts <= 1.2 * callers * rounds + LEAST_RETRIES


async def test_the_breaker_ends_the_storm_altogether() -> None:
    flaky = Flaky(1_000_000)
    async with calling(flaky, CallPolicy()) as caller:

        async def call() -> None:
            for _ in range(20):
                with pytest.raises((grpc.aio.AioRpcError, DomainError)):
                    await caller.get(timeout=30)

        await asyncio.gather(*(call() for _ in range(50)))
        assert caller.callee.refused["breaker"] > 800
    # Of a thousand: three waves of fifty, by which it opens, and the retries that are allowed.
    assert flaky.calls < 200


async def test_over_two_hops_attempts_do_not_multiply() -> None:
    far, near, calls = Flaky(1_000_000), Operations(), 500
    patient = Callees(SystemClock(), PATIENT)
    async with serve((OPERATIONS, far)) as last, outgoing(last.address, callees=patient) as channel:
        onward: Any = operations_pb2_grpc.OperationsServiceStub(channel)
        metadata = last.authorized()

        async def forward(request: Any, _context: Any) -> Any:
            with callee_errors():
                return await onward.GetSaga(request, metadata=metadata, timeout=30)

        near.behaviour = forward
        async with calling(near) as caller:

            async def call() -> None:
                for _ in range(calls // 50):
                    assert await caller.refused(timeout=30) is grpc.StatusCode.UNAVAILABLE

            await asyncio.gather(*(call() for _ in range(50)))
    assert far.calls / calls <= 2.0  # three attempts at each hop would be 9.0
