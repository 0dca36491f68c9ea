"""Traces: W3C context, sampling decided before a span is made, thin spans over the OpenTelemetry SDK.

The one module that knows OpenTelemetry. Its aio server interceptor records aborts twice, leaves failures
UNSET and fails on coroutine streams, so `interceptors.trace` makes its own spans with this module.
"""

import random
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SimpleSpanProcessor, SpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace import Span as SdkSpan

from chassis import context

__all__ = ["Decision", "Span", "SpanKind", "Tracing", "trace_id"]

_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})")
_NO_TRACE, _NO_SPAN = "0" * 32, "0" * 16


class Decision(NamedTuple):
    """Whether to record, and under which parent.

    Args:
        traceparent: the W3C header to pass on; empty for the root of a sampled trace, whose own span
            will give it.
        sampled: whether spans are made.
    """

    traceparent: str
    sampled: bool


class Span:
    """A span under way. End it exactly once."""

    __slots__ = ("_span", "traceparent")

    def __init__(self, span: SdkSpan) -> None:
        self._span = span
        ids = span.get_span_context()
        self.traceparent = f"00-{ids.trace_id:032x}-{ids.span_id:016x}-01"

    def annotate(self, key: str, value: str | int | float | bool) -> None:
        """Set an attribute; never personal data or a secret."""
        self._span.set_attribute(key, value)

    def end(self, error: str = "") -> None:
        """Finish.

        Args:
            error: type of the failure (a status code or class name), empty when there was none.
        """
        if error:
            self._span.set_attribute("error.type", error)
            self._span.set_status(Status(StatusCode.ERROR))
        self._span.end()


class Tracing:
    """Makes the spans of one process.

    Args:
        service: value of `service.name`.
        exporter: where spans go; default None: nothing is recorded, contexts are still passed on.
        sample_ratio: share of new traces that are recorded, 0..1; default 0.01. A trace that comes in
            sampled stays so.
        batch: export in the background; False for tests. Default True.
    """

    def __init__(
        self,
        service: str,
        exporter: SpanExporter | None = None,
        *,
        sample_ratio: float = 0.01,
        batch: bool = True,
    ) -> None:
        if not 0 <= sample_ratio <= 1:
            raise ValueError(f"sample_ratio is {sample_ratio}; it must be between 0 and 1")
        self._recording = exporter is not None
        self._ratio = sample_ratio if self._recording else 0.0
        # shutdown_on_exit would install an exit hook; the runtime calls `close` when it has drained.
        self._provider = TracerProvider(
            sampler=ALWAYS_ON, resource=Resource.create({"service.name": service}), shutdown_on_exit=False
        )
        if exporter is not None:
            processor = BatchSpanProcessor(exporter) if batch else SimpleSpanProcessor(exporter)
            self._provider.add_span_processor(processor)
        self._tracer = self._provider.get_tracer("greenledger")

    @classmethod
    def to_endpoint(cls, service: str, endpoint: str, *, sample_ratio: float = 0.01) -> "Tracing":
        """Export by OTLP over gRPC.

        Args:
            service: value of `service.name`.
            endpoint: host:port of a collector, without TLS; empty means no export.
            sample_ratio: see the class.
        """
        if not endpoint:
            return cls(service, sample_ratio=sample_ratio)
        # Imported here because it costs 60 ms and most processes of a development fleet do not export.
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter  # noqa: PLC0415

        return cls(service, OTLPSpanExporter(endpoint=endpoint, insecure=True), sample_ratio=sample_ratio)

    def resample(self, ratio: float) -> None:
        """Record another share of new traces from now on, 0..1; nothing where there is no exporter.

        Raises:
            ValueError: the ratio is out of bounds.
        """
        if not 0 <= ratio <= 1:
            raise ValueError(f"sample_ratio is {ratio}; it must be between 0 and 1")
        self._ratio = ratio if self._recording else 0.0

    @property
    def sample_ratio(self) -> float:
        """The share of new traces that is recorded; 0 where there is no exporter."""
        return self._ratio

    def decide(self, incoming: str | None) -> Decision:
        """Decide on a trace before anything is made for it.

        Args:
            incoming: the traceparent header that came with the work, if any; a malformed one is ignored
                and a new trace begins (W3C Trace Context, section 3.2).
        """
        if incoming is not None:
            found = _TRACEPARENT.fullmatch(incoming)
            if found is not None and found[1] != _NO_TRACE and found[2] != _NO_SPAN:
                return Decision(incoming, self._recording and int(found[3], 16) & 1 == 1)
        if self._ratio and random.random() < self._ratio:
            return Decision("", True)
        # No span will ever have this parent id, so it need not be random on its own.
        ids = random.getrandbits(128).to_bytes(16, "big").hex()
        return Decision(f"00-{ids}-{ids[16:]}-00", False)

    def start(
        self,
        name: str,
        kind: SpanKind,
        traceparent: str,
        attributes: Mapping[str, str | int | float | bool] | None = None,
    ) -> Span:
        """Begin a span; ask `decide` first.

        Args:
            name: low-cardinality name, e.g. the full method.
            kind: SERVER, CLIENT, PRODUCER, CONSUMER or INTERNAL.
            traceparent: the parent; empty for a root.
            attributes: known at the start; default none.
        """
        parent = _remote_parent(traceparent) if traceparent else Context()
        return Span(self._tracer.start_span(name, parent, kind, attributes))

    @contextmanager
    def span(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        *,
        attributes: Mapping[str, str | int | float | bool] | None = None,
    ) -> Iterator[Span | None]:
        """A span around the body, child of the context in force; None when the trace is not sampled.

        The body runs in a context whose traceparent is the span, so that calls and events link to it.
        """
        ambient = context.current()
        decision = self.decide(ambient.traceparent)
        if not decision.sampled:
            yield None
            return
        span = self.start(name, kind, decision.traceparent, attributes)
        error = ""
        try:
            with context.use(replace(ambient, traceparent=span.traceparent)):
                yield span
        except BaseException as raised:
            error = type(raised).__name__
            raise
        finally:
            span.end(error)

    def close(self) -> None:
        """Export what is left and stop; blocks up to the exporter's timeout, so call it in a thread."""
        self._provider.shutdown()


def trace_id(traceparent: str | None) -> str:
    """The 32 hex digits of the trace, or empty."""
    return traceparent[3:35] if traceparent else ""


def _remote_parent(traceparent: str) -> Context:
    _, trace, span, flags = traceparent.split("-")
    ids = SpanContext(int(trace, 16), int(span, 16), is_remote=True, trace_flags=TraceFlags(int(flags, 16)))
    return set_span_in_context(NonRecordingSpan(ids), Context())
