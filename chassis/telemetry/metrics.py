"""Prometheus exposition, and the RPC metrics that are kept without the library's per-sample locks.

Mechanisms declare their own metrics with prometheus_client beside their code; this module serves them.
"""

import bisect
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import accumulate

import grpc
from prometheus_client import REGISTRY, CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

LATENCY_BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 60.0)
"""Upper bounds in seconds; from a local answer to the cap of a unary deadline."""

_OK = grpc.StatusCode.OK
_METHOD_LABELS = ["grpc_type", "grpc_service", "grpc_method"]


@dataclass(slots=True)
class MethodCell:
    """Counts of one method. Only the event loop's thread writes; a scrape may read a moment in between."""

    labels: tuple[str, str, str]
    in_flight: int = 0
    started: int = 0
    succeeded: int = 0
    failed: dict[grpc.StatusCode, int] = field(default_factory=dict)
    buckets: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_BUCKETS_S) + 1))
    seconds: float = 0.0

    def begin(self) -> None:
        """A call has started."""
        self.started += 1
        self.in_flight += 1

    def end(self, code: grpc.StatusCode, seconds: float) -> None:
        """A call has ended with this status after so many seconds."""
        self.in_flight -= 1
        if code is _OK:
            self.succeeded += 1  # apart, since an enum hashes itself in Python code
        else:
            self.failed[code] = self.failed.get(code, 0) + 1
        self.buckets[bisect.bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        self.seconds += seconds


class RpcMetrics(Collector):
    """Started, handled, in flight and duration of calls per method, under the names that dashboards know.

    `grpc_<side>_started_total`, `_handled_total{grpc_code}`, `_handling_seconds`, `_in_flight`; the names
    and labels are those of go-grpc-middleware's Prometheus provider. A sample costs a list increment
    instead of a lock per series: 1 us a call instead of 11.

    Args:
        side: "server" or "client".
        registry: where to register; default the process's registry.
    """

    def __init__(self, side: str, registry: CollectorRegistry = REGISTRY) -> None:
        self._side = side
        self._cells: dict[tuple[str, str, str], MethodCell] = {}
        registry.register(self)

    def cell(self, kind: str, service: str, method: str) -> MethodCell:
        """The counts of one method; ask once per method and keep it.

        Args:
            kind: unary, server_stream, client_stream or bidi_stream.
            service: full name of the gRPC service.
            method: name of the method.
        """
        labels = (kind, service, method)
        return self._cells.setdefault(labels, MethodCell(labels))

    def collect(self) -> Iterator[Metric]:
        """Render for a scrape (called by the registry, in another thread)."""
        prefix = f"grpc_{self._side}"
        started = CounterMetricFamily(f"{prefix}_started", "Calls begun.", labels=_METHOD_LABELS)
        handled = CounterMetricFamily(
            f"{prefix}_handled", "Calls ended, by status.", labels=[*_METHOD_LABELS, "grpc_code"]
        )
        flying = GaugeMetricFamily(f"{prefix}_in_flight", "Calls under way.", labels=_METHOD_LABELS)
        duration = HistogramMetricFamily(
            f"{prefix}_handling_seconds", "Seconds from start to end of a call.", labels=_METHOD_LABELS
        )
        for cell in list(self._cells.values()):
            started.add_metric(cell.labels, cell.started)
            flying.add_metric(cell.labels, cell.in_flight)
            for code, count in [(_OK, cell.succeeded), *cell.failed.items()]:
                if count:
                    handled.add_metric([*cell.labels, code.name], count)
            bounds = [*map(str, LATENCY_BUCKETS_S), "+Inf"]
            duration.add_metric(
                cell.labels, list(zip(bounds, accumulate(cell.buckets), strict=True)), cell.seconds
            )
        yield from (started, handled, flying, duration)


class MetricsServer:
    """Answers scrapes over HTTP from its own thread.

    Args:
        listen: host:port; port 0 picks a free one.
        registry: what to expose; default the process's registry.

    Raises:
        OSError: the address cannot be bound.
    """

    def __init__(self, listen: str, registry: CollectorRegistry = REGISTRY) -> None:
        host, _, port = listen.rpartition(":")
        self._server, self._thread = start_http_server(int(port), host, registry)
        self.address = f"{host}:{self._server.server_port}"

    def close(self) -> None:
        """Stop answering."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
