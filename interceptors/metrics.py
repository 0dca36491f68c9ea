"""Counts and durations of RPCs, server and client, and open streams by kind of caller."""

import time
from typing import Any

import grpc
from prometheus_client import REGISTRY, CollectorRegistry, Gauge

from chassis.telemetry.metrics import MethodCell, RpcMetrics
from interceptors.call import Call, Method, Proceed, method_descriptor
from interceptors.outgoing import Outgoing


class Metrics:
    """Server metrics of every call, refused ones included.

    Args:
        metrics: where to count; default a new `RpcMetrics("server")` in the process's registry.
    """

    def __init__(self, metrics: RpcMetrics | None = None) -> None:
        self._metrics = metrics or RpcMetrics("server")

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method; those that are not served share one series."""
        cell = self._metrics.cell(method.kind, method.service, method.name)

        async def measure(request: Any, call: Call) -> Any:
            cell.begin()
            try:
                return await proceed(request, call)
            finally:
                cell.end(call.code, time.perf_counter() - call.started)

        return measure


class OpenStreams:
    """Gauge `greenledger_open_streams{grpc_service, principal_kind}`; sits inside authentication.

    Args:
        registry: default the process's registry.
    """

    def __init__(self, registry: CollectorRegistry = REGISTRY) -> None:
        self._gauge = Gauge(
            "greenledger_open_streams",
            "Response streams that are open, by service and kind of caller.",
            ["grpc_service", "principal_kind"],
            registry=registry,
        )

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Methods that stream responses."""
        if not method.streams_responses:
            return proceed

        async def count(request: Any, call: Call) -> Any:
            kind = call.principal.kind if call.principal else "anonymous"
            gauge = self._gauge.labels(method.service, kind)
            with gauge.track_inprogress():
                return await proceed(request, call)

        return count


class ClientMetrics:
    """Client metrics of every call, whatever its attempts: those are counted by callee, see `CalleeMetrics`.

    Args:
        metrics: where to count; default a new `RpcMetrics("client")` in the process's registry.
    """

    def __init__(self, metrics: RpcMetrics | None = None) -> None:
        self._metrics = metrics or RpcMetrics("client")
        self._cells: dict[str, MethodCell] = {}

    async def before(self, outgoing: Outgoing) -> None:
        """Count the start."""
        cell = self._cells.get(outgoing.path)
        if cell is None:
            cell = self._cells[outgoing.path] = self._cell(outgoing.path)
        cell.begin()

    def after(self, outgoing: Outgoing, code: grpc.StatusCode) -> None:
        """Count the end."""
        self._cells[outgoing.path].end(code, time.perf_counter() - outgoing.started)

    def _cell(self, path: str) -> MethodCell:
        service, _, name = path[1:].rpartition("/")
        descriptor = method_descriptor(path)
        streams = descriptor is not None and descriptor.server_streaming
        return self._metrics.cell("server_stream" if streams else "unary", service, name)
