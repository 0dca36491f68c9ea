"""Spans of RPCs, server and client, by the current RPC semantic conventions of OpenTelemetry."""

from typing import Any

import grpc

from chassis import context
from chassis.telemetry.tracing import SpanKind, Tracing
from interceptors.call import Call, Method, Proceed
from interceptors.outgoing import Outgoing

TRACEPARENT = "traceparent"

SERVER_FAULTS = frozenset(
    {
        grpc.StatusCode.UNKNOWN,
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNIMPLEMENTED,
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.UNAVAILABLE,
        grpc.StatusCode.DATA_LOSS,
    }
)
"""Statuses that are an error of a server span; the others are the caller's doing (RPC conventions)."""


class Trace:
    """Server spans.

    Args:
        tracing: decides before anything is made, and makes.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method but health and reflection, whose traces nobody reads."""
        if method.infrastructure:
            return proceed
        tracing, name = self._tracing, method.path[1:]
        attributes = {"rpc.system.name": "grpc", "rpc.method": name}

        async def trace(request: Any, call: Call) -> Any:
            decision = tracing.decide(call.header(TRACEPARENT) or None)
            if not decision.sampled:
                call.traceparent = decision.traceparent
                return await proceed(request, call)
            span = tracing.start(name, SpanKind.SERVER, decision.traceparent, attributes)
            call.traceparent, call.sampled = span.traceparent, True
            span.annotate("greenledger.request_id", call.request_id)
            try:
                return await proceed(request, call)
            finally:
                span.annotate("rpc.response.status_code", call.code.name)
                span.end(call.code.name if call.code in SERVER_FAULTS else "")

        return trace


class ClientTrace:
    """Client spans and the traceparent header.

    Args:
        tracing: decides before anything is made, and makes.
    """

    def __init__(self, tracing: Tracing) -> None:
        self._tracing = tracing

    async def before(self, outgoing: Outgoing) -> None:
        """Begin a span when the trace is sampled; pass the trace on in any case."""
        decision = self._tracing.decide(context.current().traceparent)
        traceparent = decision.traceparent
        if decision.sampled:
            attributes = {"rpc.system.name": "grpc", "rpc.method": outgoing.path[1:]}
            span = self._tracing.start(outgoing.path[1:], SpanKind.CLIENT, traceparent, attributes)
            outgoing.span, traceparent = span, span.traceparent
        outgoing.metadata.append((TRACEPARENT, traceparent))

    def after(self, outgoing: Outgoing, code: grpc.StatusCode) -> None:
        """End the span; to a caller every status but OK is an error."""
        if outgoing.span is not None:
            if outgoing.attempts > 1:
                outgoing.span.annotate("greenledger.attempts", outgoing.attempts)
            outgoing.span.annotate("rpc.response.status_code", code.name)
            outgoing.span.end("" if code is grpc.StatusCode.OK else code.name)
