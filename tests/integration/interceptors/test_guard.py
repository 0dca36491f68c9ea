"""Circuit breaker and bulkhead around real calls."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from chassis import context, errors
from chassis.clock import FixedClock, SystemClock
from chassis.errors import Unavailable
from chassis.ids import SystemIds
from chassis.resilience import BreakerPolicy, BreakerState, Callees, CallPolicy
from chassis.telemetry.tracing import Tracing
from chassis.testing import eventually
from greenledger.operations.v1 import operations_pb2, operations_pb2_grpc
from interceptors.chain import client_chain
from tests.integration.interceptors.harness import OPERATIONS, Operations, saga_request, serve

POLICY = CallPolicy(
    attempts=1, breaker=BreakerPolicy(minimum_calls=10, consecutive_failures=5, failure_percent=50)
)


@dataclass
class Bench:
    """A caller with its own clock for breakers, and a callee that does what the test says."""

    operations: Operations
    stub: Any
    callees: Callees
    clock: FixedClock
    registry: CollectorRegistry
    metadata: Any

    @property
    def state(self) -> BreakerState:
        """Of the callee's breaker."""
        return self.callees.get("operations").breaker.state

    async def call(self, **details: Any) -> Any:
        """One read."""
        return await self.stub.GetSaga(saga_request(), metadata=self.metadata, **{"timeout": 5, **details})

    async def fail(self, times: int, **details: Any) -> None:
        """Reads that are sent and fail."""
        for _ in range(times):
            with pytest.raises(grpc.aio.AioRpcError):
                await self.call(**details)

    def raises(self, error: Exception | None) -> None:
        """What the callee does from now on."""

        async def behaviour(_request: Any, _context: Any) -> None:
            if error is not None:
                raise error

        self.operations.behaviour = behaviour


@asynccontextmanager
async def calling(policy: CallPolicy = POLICY) -> AsyncIterator[Bench]:
    operations, clock, registry = Operations(), FixedClock(), CollectorRegistry()
    callees = Callees(clock, policy)
    chain = client_chain(
        tracing=Tracing("test"), clock=SystemClock(), ids=SystemIds(), callees=callees, registry=registry
    )
    async with (
        serve((OPERATIONS, operations)) as server,
        grpc.aio.insecure_channel(server.address, interceptors=chain) as channel,
    ):
        stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)
        yield Bench(operations, stub, callees, clock, registry, server.authorized())


@pytest.mark.parametrize("error", [Unavailable("UNAVAILABLE", "Away."), ValueError("a defect")])
async def test_it_opens_refuses_at_once_lets_one_call_try_and_closes(error: Exception) -> None:
    async with calling() as bench:
        bench.raises(error)
        await bench.fail(5)
        assert bench.state is BreakerState.OPEN
        with pytest.raises(Unavailable) as refused:
            await bench.call()
        assert refused.value.metadata == {"callee": "operations", "cause": "breaker"}
        assert refused.value.retry_after == timedelta(seconds=30)
        assert bench.operations.calls == 5  # nothing was sent
        bench.raises(None)
        bench.clock.advance(timedelta(seconds=30))
        await bench.call()
        assert bench.state is BreakerState.CLOSED
        await bench.call()


async def test_only_one_of_many_calls_is_the_probe() -> None:
    async with calling() as bench:
        bench.raises(Unavailable("UNAVAILABLE", "Away."))
        await bench.fail(5)
        release = asyncio.Event()

        async def behaviour(_request: Any, _context: Any) -> None:
            await release.wait()

        bench.operations.behaviour = behaviour
        bench.clock.advance(timedelta(seconds=30))
        calls = [asyncio.ensure_future(bench.call()) for _ in range(20)]
        await eventually(lambda: bench.operations.calls == 6)
        await eventually(lambda: sum(call.done() for call in calls) == 19)
        release.set()
        results = await asyncio.gather(*calls, return_exceptions=True)
        refused = [result for result in results if isinstance(result, Unavailable)]
        assert len(refused) == 19
        assert {one.retry_after for one in refused} == {POLICY.timeout}
        assert bench.state is BreakerState.CLOSED


async def test_calls_that_fail_with_one_instance_do_not_shut_out_the_others() -> None:
    async with calling() as bench:
        died = asyncio.Event()

        async def behaviour(_request: Any, _context: Any) -> None:
            await died.wait()
            raise Unavailable("UNAVAILABLE", "Away.")

        bench.operations.behaviour = behaviour
        held = [asyncio.ensure_future(bench.call()) for _ in range(20)]
        await eventually(lambda: bench.operations.calls == 20)
        died.set()
        results = await asyncio.gather(*held, return_exceptions=True)
        assert all(isinstance(result, grpc.aio.AioRpcError) for result in results)
        bench.raises(None)
        await bench.call()
        assert bench.state is BreakerState.CLOSED


async def test_it_opens_at_the_share_of_the_policy_and_metrics_show_it() -> None:
    async with calling() as bench:
        for failing in [True, False] * 5:
            bench.raises(Unavailable("UNAVAILABLE", "Away.") if failing else None)
            assert bench.state is BreakerState.CLOSED
            if failing:
                await bench.fail(1)
            else:
                await bench.call()
        bench.raises(Unavailable("UNAVAILABLE", "Away."))
        await bench.fail(1)
        assert bench.state is BreakerState.OPEN
        with pytest.raises(Unavailable):
            await bench.call()
        labels = {"callee": "operations"}
        sample = bench.registry.get_sample_value
        assert sample("greenledger_client_breaker_state", labels) == 2
        assert sample("greenledger_client_refused_total", {**labels, "why": "breaker"}) == 1
        assert sample("greenledger_client_attempts_total", labels) == 11
        handled = {
            "grpc_type": "unary",
            "grpc_service": "greenledger.operations.v1.OperationsService",
            "grpc_method": "GetSaga",
            "grpc_code": "UNAVAILABLE",
        }
        assert sample("grpc_client_handled_total", handled) == 7  # the refused one is counted as what it was


@pytest.mark.parametrize(
    "error",
    [
        errors.NotFound("GONE", "Gone."),
        errors.InvalidArgument("ODD", "Odd."),
        errors.PermissionDenied("NOT_OWNER", "No."),
        errors.Aborted("CONFLICT", "Lost."),
        errors.ResourceExhausted("RATE_LIMITED", "Slowly."),
        errors.FailedPrecondition("STATE", "No."),
    ],
)
async def test_what_the_domain_says_is_an_answer(error: Exception) -> None:
    async with calling() as bench:
        bench.raises(error)
        await bench.fail(20)
        assert bench.state is BreakerState.CLOSED


async def test_a_callee_that_lets_deadlines_pass_has_failed() -> None:
    async with calling() as bench:
        bench.operations.behaviour = forever
        await bench.fail(5, timeout=0.05)
        assert bench.state is BreakerState.OPEN


async def test_a_callee_that_was_given_no_time_has_not() -> None:
    async with calling() as bench:
        bench.operations.behaviour = forever
        for _ in range(6):
            deadline = SystemClock().monotonic() + 0.1  # of 3 s that it usually has
            with context.use(context.RequestContext(deadline=deadline)):
                await bench.fail(1)
        assert bench.state is BreakerState.CLOSED


async def test_callers_who_leave_say_nothing_of_the_callee() -> None:
    async with calling() as bench:
        bench.operations.behaviour = forever
        calls = [asyncio.ensure_future(bench.call()) for _ in range(20)]
        await eventually(lambda: bench.operations.calls == 20)
        for call in calls:
            call.cancel()
        await asyncio.gather(*calls, return_exceptions=True)
        callee = bench.callees.get("operations")
        await eventually(lambda: callee.bulkhead.under_way == 0)
        assert bench.state is BreakerState.CLOSED


async def test_a_slow_dependency_holds_so_many_calls_and_the_next_is_refused_at_once() -> None:
    policy = CallPolicy(attempts=1, max_requests=10)
    async with calling(policy) as bench:
        release = asyncio.Event()

        async def behaviour(_request: Any, _context: Any) -> None:
            await release.wait()

        bench.operations.behaviour = behaviour
        held = [asyncio.ensure_future(bench.call(timeout=30)) for _ in range(10)]
        await eventually(lambda: bench.operations.calls == 10)
        for _ in range(50):
            with pytest.raises(Unavailable) as refused:
                await bench.call(timeout=30)
        assert refused.value.reason == "OVERLOADED"
        assert bench.operations.calls == 10
        release.set()
        await asyncio.gather(*held)
        await bench.call()


async def forever(_request: Any, _context: Any) -> None:
    await asyncio.Event().wait()


async def test_a_write_is_guarded_too() -> None:
    async with calling() as bench:
        bench.raises(Unavailable("UNAVAILABLE", "Away."))
        await bench.fail(5)
        with pytest.raises(Unavailable):
            await bench.stub.RetrySaga(
                operations_pb2.RetrySagaRequest(saga_id=str(uuid.uuid4()), why="test"),
                metadata=bench.metadata,
                timeout=5,
            )
