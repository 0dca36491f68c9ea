"""Logs, traces and metrics of the chassis."""

import io
import json
import logging
import urllib.request
from collections.abc import Iterator
from typing import Any

import grpc
import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from prometheus_client import CollectorRegistry

from chassis import context
from chassis.logging import configure, get_logger
from chassis.telemetry.metrics import MetricsServer, RpcMetrics
from chassis.telemetry.tracing import Tracing, trace_id
from chassis.testing import logged

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    with logged("orders") as written:
        yield written


def only(stream: io.StringIO) -> dict[str, Any]:
    (line,) = stream.getvalue().splitlines()
    parsed: dict[str, Any] = json.loads(line)
    return parsed


def test_a_line_names_service_request_and_trace(stream: io.StringIO) -> None:
    with context.use(context.RequestContext(request_id="req-1", traceparent=TRACEPARENT)):
        get_logger("orders.checkout").info("order placed", order_id="o-1")
    line = only(stream)
    assert (line["service"], line["request_id"], line["order_id"]) == ("orders", "req-1", "o-1")
    assert line["trace_id"] == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert (line["level"], line["event"], line["component"]) == ("info", "order placed", "orders.checkout")
    assert line["time"].endswith("Z")


def test_the_standard_library_logs_the_same_way(stream: io.StringIO) -> None:
    with context.use(context.RequestContext(request_id="req-1")):
        logging.getLogger("asyncpg").warning("lost %s", "it")
    line = only(stream)
    assert (line["event"], line["service"], line["request_id"]) == ("lost it", "orders", "req-1")


SECRET_KEYS = [
    *("authorization", "Authorization", "password", "new_password", "set-cookie", "api_key"),
    *("token", "refresh_token", "access_token", "tokens", "secret", "client_secret", "card", "card_number"),
]


@pytest.mark.parametrize("key", SECRET_KEYS)
def test_values_of_secret_keys_are_hidden_at_any_depth(stream: io.StringIO, key: str) -> None:
    facts: dict[str, Any] = {
        key: "hunter2",
        "request": {"body": [{key: "hunter2"}], "meta": [(key, "hunter2")]},
    }
    get_logger("x").info("login", **facts)
    assert "hunter2" not in stream.getvalue()
    assert stream.getvalue().count("[redacted]") == 3


@pytest.mark.parametrize("key", ["cardinality", "tokenizer", "secretary", "passage", "request_id"])
def test_keys_that_only_look_like_secrets_stay(stream: io.StringIO, key: str) -> None:
    get_logger("x").info("fact", **{key: "plain"})
    assert only(stream)[key] == "plain"


@pytest.mark.parametrize(
    "text",
    [
        "sent Bearer hunter2.abc",
        "token eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJodW50ZXIyIn0.hunter2",
        "postgresql://orders:hunter2@db/orders",
        'password=hunter2"x',
    ],
)
def test_secrets_inside_texts_and_tracebacks_are_hidden(stream: io.StringIO, text: str) -> None:
    try:
        raise ValueError(text)
    except ValueError:
        get_logger("x").exception("failed", said=text)
    assert "hunter2" not in stream.getvalue()
    assert "ValueError" in only(stream)["exception"]


def test_an_unknown_level_is_refused() -> None:
    with pytest.raises(ValueError, match="LOUD"):
        configure("orders", "LOUD")


@pytest.mark.parametrize(
    "incoming",
    [
        None,
        "",
        "nonsense",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
    ],
)
def test_a_malformed_trace_context_begins_a_new_trace(incoming: str | None) -> None:
    decision = Tracing("x").decide(incoming)
    assert not decision.sampled
    assert len(decision.traceparent) == 55
    assert trace_id(decision.traceparent) not in (incoming or "-")


def test_without_an_exporter_nothing_is_recorded_but_the_context_is_passed_on() -> None:
    tracing = Tracing("x", sample_ratio=1.0)
    assert tracing.decide(TRACEPARENT) == (TRACEPARENT, False)
    with tracing.span("work") as span:
        assert span is None


def test_a_span_is_the_parent_of_what_its_body_does() -> None:
    exporter = InMemorySpanExporter()
    tracing = Tracing("x", exporter, sample_ratio=1.0, batch=False)
    incoming = context.RequestContext(traceparent=TRACEPARENT)
    with pytest.raises(KeyError), context.use(incoming), tracing.span("outer"), tracing.span("inner"):
        raise KeyError
    inner, outer = exporter.get_finished_spans()
    assert inner.parent is not None
    assert outer.parent is not None
    assert outer.context is not None
    assert inner.parent.span_id == outer.context.span_id
    assert f"{outer.parent.span_id:016x}" == "00f067aa0ba902b7"
    assert dict(inner.attributes or {})["error.type"] == "KeyError"


def test_a_scrape_shows_calls_with_their_codes_and_times() -> None:
    registry = CollectorRegistry()
    cell = RpcMetrics("server", registry).cell("unary", "a.B", "C")
    cell.begin()
    cell.end(grpc.StatusCode.OK, 0.004)
    cell.begin()
    server = MetricsServer("127.0.0.1:0", registry)
    try:
        with urllib.request.urlopen(f"http://{server.address}/metrics") as answer:
            text = answer.read().decode()
    finally:
        server.close()
    labels = 'grpc_method="C",grpc_service="a.B",grpc_type="unary"'
    samples = set(text.splitlines())
    assert f"grpc_server_started_total{{{labels}}} 2.0" in samples
    assert f"grpc_server_in_flight{{{labels}}} 1.0" in samples
    assert 'grpc_code="OK"' in text
    assert (
        registry.get_sample_value(
            "grpc_server_handling_seconds_bucket",
            {"grpc_method": "C", "grpc_service": "a.B", "grpc_type": "unary", "le": "0.005"},
        )
        == 1
    )
