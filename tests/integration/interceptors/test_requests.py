"""Validation, load shedding, limits, request ids and telemetry of single calls."""

import asyncio
import io
import json
import re
import uuid
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from chassis import context
from chassis.clock import FixedClock, SystemClock
from chassis.errors import NotFound
from chassis.telemetry.tracing import Tracing
from chassis.testing import logged
from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from greenledger.operations.v1 import operations_pb2, operations_pb2_grpc
from interceptors.admission import Admission
from interceptors.limit import PrincipalLimit
from interceptors.status import NOT_BEGUN_KEY, details_of
from tests.integration.interceptors.harness import (
    CATALOG,
    OPERATIONS,
    Operations,
    Server,
    outgoing,
    reason,
    saga_request,
    serve,
)


async def refused(call: Any) -> grpc.aio.AioRpcError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value


async def test_every_broken_rule_is_named_by_its_path() -> None:
    class Never(catalog_pb2_grpc.CatalogServiceServicer):
        pass

    bad = catalog_pb2.CreateMenuItemRequest(request_id="7")
    ingredient = catalog_pb2.Ingredient(lot_id="no uuid")
    bad.ingredients.extend([catalog_pb2.Ingredient(), ingredient])
    async with serve((CATALOG, Never())) as server:
        metadata = server.authorized(scope="catalog.menu.write")
        error = await refused(server.catalog.CreateMenuItem(bad, metadata=metadata))
    found: Any = details_of(error.trailing_metadata())["BadRequest"]
    fields = {violation.field for violation in found.field_violations}
    assert (error.code(), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "VALIDATION_FAILED")
    assert {"request_id", "ingredients[0].source", "ingredients[1].lot_id"} <= fields


async def test_bytes_that_are_no_message_are_a_malformed_request() -> None:
    path = "/greenledger.operations.v1.OperationsService/GetSaga"
    operations = Operations()
    async with serve((OPERATIONS, operations)) as server:
        error = await refused(server.channel.unary_unary(path)(b"\x0a\xff", metadata=server.authorized()))
    assert (error.code(), reason(error)) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")
    assert operations.calls == 0


async def test_calls_beyond_the_bound_are_refused_and_room_comes_back() -> None:
    operations, release = Operations(), asyncio.Event()

    async def behaviour(_request: Any, _context: Any) -> None:
        await release.wait()

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations), admission=Admission(max_in_flight=2)) as server:
        calls = [begin(server) for _ in range(5)]
        done, waiting = await asyncio.wait(calls, return_when=asyncio.ALL_COMPLETED, timeout=0.5)
        release.set()
        await asyncio.gather(*waiting)
        await begin(server)
    errors = [call.exception() for call in done]
    assert (len(done), len(waiting)) == (3, 2)
    for error in errors:
        assert isinstance(error, grpc.aio.AioRpcError)
        assert (error.code(), reason(error)) == (grpc.StatusCode.UNAVAILABLE, "OVERLOADED")
        assert "RetryInfo" in details_of(error.trailing_metadata())
        assert NOT_BEGUN_KEY in dict(error.trailing_metadata())


async def test_a_draining_server_lets_calls_in_flight_finish() -> None:
    operations, release, started = Operations(), asyncio.Event(), asyncio.Event()

    async def behaviour(_request: Any, _context: Any) -> None:
        started.set()
        await release.wait()

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server:
        first = begin(server)
        await started.wait()
        server.admission.drain()
        assert reason(await refused(begin(server))) == "OVERLOADED"
        assert server.admission.in_flight == 1
        release.set()
        await first
        async with asyncio.timeout(5):
            await server.admission.idle()


async def test_a_principal_over_its_rate_waits_while_others_pass() -> None:
    clock = FixedClock(SystemClock().now())
    limit = PrincipalLimit(clock, rate_per_s=1, burst=2)
    async with serve((OPERATIONS, Operations()), limit=limit, clock=clock) as server:
        for _ in range(2):
            await begin(server, sub="ann")
        error = await refused(begin(server, sub="ann"))
        await begin(server, sub="bob")
        clock.advance(timedelta(seconds=1))
        await begin(server, sub="ann")
    retry: Any = details_of(error.trailing_metadata())["RetryInfo"]
    assert (error.code(), reason(error)) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert retry.retry_delay.ToTimedelta() == timedelta(seconds=1)


async def test_services_and_callers_without_a_token_are_not_limited() -> None:
    limit = PrincipalLimit(FixedClock(SystemClock().now()), rate_per_s=1, burst=1)
    async with serve((OPERATIONS, Operations()), limit=limit) as server:
        await begin(server, sub="ann")
        assert reason(await refused(begin(server, sub="ann"))) == "RATE_LIMITED"
        for _ in range(5):
            metadata = server.authorized(sub="orders", aud="greenledger-services", kind="service")
            await server.operations.GetSaga(saga_request(), metadata=metadata)
            assert reason(await refused(server.operations.GetSaga(saga_request()))) == "TOKEN_MISSING"


@pytest.mark.parametrize(
    ("given", "kept"),
    [("4f1e2d3c-0000-4000-8000-000000000001", True), ("x" * 129, False), ("", False)],
)
async def test_a_request_id_is_kept_when_it_is_one_and_made_when_not(given: str, kept: bool) -> None:
    operations, seen = Operations(), []

    async def behaviour(_request: Any, _context: Any) -> None:
        seen.append(context.current())

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server:
        metadata = (*server.authorized(), ("x-request-id", given))
        await server.operations.GetSaga(saga_request(), metadata=metadata)
    assert (seen[0].request_id == given) is kept
    assert seen[0].request_id
    assert seen[0].correlation_id == seen[0].causation_id == seen[0].request_id


async def test_metrics_count_refused_calls_and_paths_that_are_not_served_share_a_series() -> None:
    async with serve((OPERATIONS, Operations())) as server:
        await begin(server)
        await refused(server.operations.GetSaga(saga_request()))
        for n in range(3):
            await refused(server.channel.unary_unary(f"/a.B/C{n}")(b""))
    names = {
        (sample.labels["grpc_method"], sample.labels["grpc_code"]): sample.value
        for family in server.registry.collect()
        for sample in family.samples
        if sample.name == "grpc_server_handled_total"
    }
    seconds = server.registry.get_sample_value(
        "grpc_server_handling_seconds_count",
        {
            "grpc_type": "unary",
            "grpc_service": "greenledger.operations.v1.OperationsService",
            "grpc_method": "GetSaga",
        },
    )
    assert names == {
        ("GetSaga", "OK"): 1,
        ("GetSaga", "UNAUTHENTICATED"): 1,
        ("unknown", "UNIMPLEMENTED"): 3,
    }
    assert seconds == 2


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    with logged("orders") as written:
        yield written


async def test_a_refused_call_is_one_json_line_without_the_token(lines: io.StringIO) -> None:
    operations = Operations()

    async def behaviour(_request: Any, _context: Any) -> None:
        raise NotFound("SAGA_GONE", "Gone.")

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server:
        token = server.authorized()[0][1]
        traceparent = f"00-{uuid.uuid4().hex}-00f067aa0ba902b7-00"
        headers = (("authorization", token), ("x-request-id", "req-1"), ("traceparent", traceparent))
        await refused(server.operations.GetSaga(saga_request(), metadata=headers))
    (line,) = [json.loads(text) for text in lines.getvalue().splitlines()]
    assert line["service"] == "orders"
    assert (line["event"], line["code"], line["reason"]) == ("rpc", "NOT_FOUND", "SAGA_GONE")
    assert (line["request_id"], line["trace_id"]) == ("req-1", traceparent[3:35])
    assert line["principal"] == "user:user-1"
    assert token.removeprefix("Bearer ") not in lines.getvalue()


async def test_an_incident_is_logged_with_its_traceback_under_the_id_that_the_client_got(
    lines: io.StringIO,
) -> None:
    operations = Operations()

    async def behaviour(_request: Any, _context: Any) -> None:
        raise ValueError("token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln leaked")

    operations.behaviour = behaviour
    async with serve((OPERATIONS, operations)) as server:
        error = await refused(begin(server))
    incident = re.findall(r"incident ([0-9a-f-]{36})", error.details() or "")[0]
    logged = [json.loads(text) for text in lines.getvalue().splitlines()]
    (line,) = [entry for entry in logged if entry["event"] == "incident"]
    assert line["incident_id"] == incident
    assert "Traceback" in line["exception"]
    assert "ValueError" in line["exception"]
    assert "eyJzdWIi" not in lines.getvalue()


async def test_a_quick_success_is_not_logged_at_info(lines: io.StringIO) -> None:
    async with serve((OPERATIONS, Operations())) as server:
        await begin(server)
    assert lines.getvalue() == ""


def spans_of(exporter: InMemorySpanExporter) -> Sequence[ReadableSpan]:
    return exporter.get_finished_spans()


async def test_one_trace_runs_from_server_over_client_to_the_next_server() -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing("test", exporter, sample_ratio=1.0, batch=False)
    last, first = Operations(), Operations()
    async with (
        serve((OPERATIONS, last), tracing=tracing) as inner,
        outgoing(inner.address, tracing=tracing) as channel,
    ):
        stub: Any = operations_pb2_grpc.OperationsServiceStub(channel)

        async def forward(request: Any, _context: Any) -> Any:
            return await stub.GetSaga(request, metadata=inner.authorized())

        first.behaviour = forward
        async with serve((OPERATIONS, first), tracing=tracing, issuer=inner.issuer) as outer:
            await begin(outer)
    server_2, client, server_1 = spans_of(exporter)
    assert server_1.parent is None
    assert client.parent is not None
    assert server_2.parent is not None
    assert server_1.context is not None
    assert client.context is not None
    assert client.parent.span_id == server_1.context.span_id
    assert server_2.parent.span_id == client.context.span_id
    assert {span.context.trace_id for span in spans_of(exporter) if span.context} == {
        server_1.context.trace_id
    }
    assert dict(server_1.attributes or {})["rpc.response.status_code"] == "OK"
    assert server_1.name == "greenledger.operations.v1.OperationsService/GetSaga"


@pytest.mark.parametrize(
    ("error", "status"), [(NotFound("GONE", "Gone."), StatusCode.UNSET), (ValueError(), StatusCode.ERROR)]
)
async def test_only_faults_of_ours_are_errors_of_a_server_span(error: Exception, status: StatusCode) -> None:
    exporter, operations = InMemorySpanExporter(), Operations()

    async def behaviour(_request: Any, _context: Any) -> None:
        raise error

    operations.behaviour = behaviour
    tracing = Tracing("test", exporter, sample_ratio=1.0, batch=False)
    async with serve((OPERATIONS, operations), tracing=tracing) as server:
        await refused(begin(server))
    (span,) = spans_of(exporter)
    assert span.status.status_code is status


async def test_the_callers_decision_on_sampling_is_kept() -> None:
    exporter, operations, seen = InMemorySpanExporter(), Operations(), []

    async def behaviour(_request: Any, _context: Any) -> None:
        seen.append(context.current().traceparent)

    operations.behaviour = behaviour
    tracing = Tracing("test", exporter, sample_ratio=1.0, batch=False)
    trace = uuid.uuid4().hex
    async with serve((OPERATIONS, operations), tracing=tracing) as server:
        for flags in ("00", "01"):
            metadata = (*server.authorized(), ("traceparent", f"00-{trace}-00f067aa0ba902b7-{flags}"))
            await server.operations.GetSaga(saga_request(), metadata=metadata)
    assert len(spans_of(exporter)) == 1
    assert seen[0] == f"00-{trace}-00f067aa0ba902b7-00"
    assert seen[1].startswith(f"00-{trace}-")
    assert seen[1] != f"00-{trace}-00f067aa0ba902b7-01"


async def test_a_method_that_the_servicer_does_not_have_is_unimplemented() -> None:
    class Empty(operations_pb2_grpc.OperationsServiceServicer):
        pass

    async with serve((OPERATIONS, Empty())) as server:
        request = operations_pb2.GetStatusRequest()
        error = await refused(server.operations.GetStatus(request, metadata=server.authorized(), timeout=5))
    assert (error.code(), reason(error)) == (grpc.StatusCode.UNIMPLEMENTED, "METHOD_UNKNOWN")


def begin(server: Server, **claims: Any) -> "asyncio.Task[Any]":
    async def call() -> Any:
        return await server.operations.GetSaga(saga_request(), metadata=server.authorized(**claims))

    return asyncio.ensure_future(call())
