"""Settings that change while a process runs."""

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from chassis.clock import FixedClock
from chassis.discovery import LiveConfiguration
from chassis.logging import get_logger, resolve, set_level
from chassis.telemetry.tracing import Tracing
from chassis.testing import logged
from greenledger.control.v1 import config_pb2
from interceptors.limit import PrincipalLimit


def snapshot(**values: str) -> config_pb2.ConfigSnapshot:
    """Entries that somebody has set; `_` stands for the dot of a name."""
    return config_pb2.ConfigSnapshot(
        entries=[
            config_pb2.ConfigEntry(name=name.replace("__", "~").replace("_", "."), value=value, version=1)
            for name, value in values.items()
        ]
    )


class Listener:
    """A configuration for orders, and what one who listens was told."""

    def __init__(self, parse: Any = str) -> None:
        self.live = LiveConfiguration()
        self.told: list[Any] = []
        self.live.on("log.level", parse, self.told.append, "as started")

    def apply(self, entries: Any) -> None:
        """As orders gets it."""
        self.live.apply("orders", entries)


def test_a_value_is_told_once_for_as_long_as_it_stays() -> None:
    listener = Listener()
    for value in ("DEBUG", "DEBUG", "INFO"):
        listener.apply(snapshot(log_level=value))
    assert listener.told == ["DEBUG", "INFO"]


def test_what_is_set_for_one_service_wins_there() -> None:
    listener = Listener()
    listener.apply(snapshot(log_level="ERROR", orders__log_level="DEBUG", crops__log_level="INFO"))
    assert listener.told == ["DEBUG"]


def test_an_entry_that_nobody_has_set_leaves_what_the_process_was_started_with() -> None:
    listener = Listener()
    default = config_pb2.ConfigSnapshot(entries=[config_pb2.ConfigEntry(name="log.level", value="INFO")])
    listener.apply(default)
    assert listener.told == []
    listener.apply(snapshot(log_level="DEBUG"))
    listener.apply(default)
    assert listener.told == ["DEBUG", "as started"]


def test_a_value_that_cannot_be_used_changes_nothing_and_hurts_no_other() -> None:
    listener, others = Listener(float), list[str]()
    listener.live.on("trace.sampling", str, others.append, "")
    listener.apply(snapshot(log_level="loud", trace_sampling="0.5"))
    assert listener.told == []
    assert others == ["0.5"]
    listener.apply(snapshot(log_level="2", trace_sampling="0.5"))
    assert listener.told == [2.0]


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    with logged("orders") as written:
        yield written


def test_the_log_level_holds_for_loggers_that_are_there_already(stream: io.StringIO) -> None:
    lazy, resolved, standard = get_logger("a"), resolve("b"), logging.getLogger("c")

    def write() -> set[str]:
        stream.truncate(stream.seek(0))
        for log in (lazy, resolved, standard):
            log.debug("line")
        return {json.loads(line)["component"] for line in stream.getvalue().splitlines()}

    assert write() == set()
    set_level("DEBUG")
    assert write() == {"a", "b", "c"}
    assert resolved.is_enabled_for(logging.DEBUG)
    set_level("WARNING")
    assert write() == set()


def test_the_share_of_traces_can_be_changed() -> None:
    tracing = Tracing("orders", InMemorySpanExporter(), sample_ratio=0.0, batch=False)
    assert not tracing.decide(None).sampled
    tracing.resample(1.0)
    assert tracing.decide(None).sampled
    with pytest.raises(ValueError, match="sample_ratio"):
        tracing.resample(2.0)
    silent = Tracing("orders")
    silent.resample(1.0)
    assert not silent.decide(None).sampled


def test_a_persons_limit_can_be_changed() -> None:
    limit = PrincipalLimit(FixedClock(), rate_per_s=1, burst=2)
    assert [limit._take("ann") > 0 for _ in range(3)] == [False, False, True]
    limit.set_burst(5)
    limit.set_rate(10)
    assert [limit._take("bob") > 0 for _ in range(6)] == [False] * 5 + [True]
