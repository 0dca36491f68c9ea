"""Metrics of callees, rendered at a scrape so that a call pays nothing for them."""

from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from chassis.resilience.callees import Callees

_PREFIX = "greenledger_client"


class CalleeMetrics(Collector):
    """State of breakers, calls under way, attempts, retries, refusals and stale answers, by callee.

    `greenledger_client_breaker_state` is 0 closed, 1 half-open, 2 open.

    Args:
        callees: of the process.
        registry: default the process's registry.
    """

    def __init__(self, callees: Callees, registry: CollectorRegistry = REGISTRY) -> None:
        self._callees = callees
        registry.register(self)

    def collect(self) -> Iterator[Metric]:
        """Render for a scrape (called by the registry, in another thread)."""
        state = GaugeMetricFamily(
            f"{_PREFIX}_breaker_state", "Circuit breaker: 0 closed, 1 half-open, 2 open.", labels=["callee"]
        )
        calls = GaugeMetricFamily(f"{_PREFIX}_calls_under_way", "Unary calls under way.", labels=["callee"])
        attempts = CounterMetricFamily(
            f"{_PREFIX}_attempts", "Attempts of unary calls, first ones included.", labels=["callee"]
        )
        retried = CounterMetricFamily(f"{_PREFIX}_retries", "Retries, by why.", labels=["callee", "why"])
        refused = CounterMetricFamily(
            f"{_PREFIX}_refused", "Calls not sent and retries not made, by why.", labels=["callee", "why"]
        )
        stale = CounterMetricFamily(
            f"{_PREFIX}_stale_answers", "Earlier answers given while the service was away.", labels=["callee"]
        )
        for callee in self._callees:
            name = [callee.name]
            state.add_metric(name, callee.breaker.state.value)
            calls.add_metric(name, callee.bulkhead.under_way)
            attempts.add_metric(name, callee.attempts)
            stale.add_metric(name, callee.answered_stale)
            for why, count in list(callee.retried.items()):
                retried.add_metric([*name, why], count)
            for why, count in list(callee.refused.items()):
                refused.add_metric([*name, why], count)
        yield from (state, calls, attempts, retried, refused, stale)
