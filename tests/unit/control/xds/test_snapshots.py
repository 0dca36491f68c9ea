"""What is rendered when, and what happens to what renders badly."""

from collections.abc import Hashable, Iterable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from google.protobuf.message import Message
from prometheus_client import REGISTRY

from services.control.adapters.xds import stubs
from services.control.adapters.xds.grpc_clients import GrpcRenderer
from services.control.adapters.xds.resources import CLUSTERS, ENDPOINTS
from services.control.adapters.xds.snapshots import Snapshots
from services.control.adapters.xds.validation import violations
from services.control.domain.policy import Outlier, TrafficPolicy
from services.control.domain.view import FleetView
from tests.unit.control.xds.fleets import BORN, instance, view


class Renderer:
    """Counts what it is asked for, and fails when told to."""

    kind = "test"

    def __init__(self) -> None:
        self.rendered: list[str] = []
        self.broken: Message | Exception | None = None
        self._real = GrpcRenderer()

    def service(self, view: FleetView, service: str) -> Iterable[Message]:
        self.rendered.append(service)
        if service == "orders" and self.broken is not None:
            if isinstance(self.broken, Exception):
                raise self.broken
            return [self.broken]
        return self._real.service(view, service)

    def shared(self, view: FleetView) -> Iterable[Message]:
        return ()

    def shared_key(self, view: FleetView) -> Hashable:
        return None


def failures() -> float:
    return REGISTRY.get_sample_value("xds_render_failures_total", {"kind": "test"}) or 0


def test_only_services_that_changed_are_rendered() -> None:
    renderer = Renderer()
    snapshots = Snapshots([renderer])
    a, b = instance("a"), instance("b", service="users")
    assert snapshots.update(view(a, b))
    assert renderer.rendered == ["orders", "users"]
    assert not snapshots.update(view(a, b, revision=2))
    # A renewed lease is nothing that clients see.
    renewed = replace(a, lease_expires_at=BORN + timedelta(seconds=9))
    assert not snapshots.update(view(renewed, b, revision=3))
    assert renderer.rendered == ["orders", "users"]
    assert snapshots.update(view(a, instance("c", service="users"), revision=4))
    assert renderer.rendered == ["orders", "users", "users"]


@pytest.mark.parametrize(
    "broken",
    [
        RuntimeError("no"),
        stubs.ClusterLoadAssignment(cluster_name="orders"),
        stubs.Cluster(name="", connect_timeout={"seconds": 1}),
        stubs.RouteConfiguration(name="orders", virtual_hosts=[{"name": "orders"}]),
    ],
    ids=["raises", "no endpoint", "no name", "no domain"],
)
def test_a_service_that_renders_badly_keeps_what_it_had_and_holds_up_no_other(broken: Any) -> None:
    renderer = Renderer()
    snapshots = Snapshots([renderer])
    snapshots.update(view(instance("a"), instance("b", service="users")))
    before = snapshots.of("test")
    assert before is not None
    count = failures()
    renderer.broken = broken
    changed = view(
        instance("a"), instance("a2"), instance("b", service="users"), instance("b2", service="users")
    )
    assert snapshots.update(changed)
    after = snapshots.of("test")
    assert after is not None
    assert after.of_type(ENDPOINTS)["orders"] == before.of_type(ENDPOINTS)["orders"]
    assert after.of_type(ENDPOINTS)["users"] != before.of_type(ENDPOINTS)["users"]
    assert failures() == count + 1
    assert not snapshots.update(changed)
    assert failures() == count + 1  # told once


def test_a_service_never_loses_its_last_endpoints() -> None:
    snapshots = Snapshots([Renderer()])
    snapshots.update(view(instance("a")))
    before = snapshots.of("test")
    for poorer in (view(), view(policies=(TrafficPolicy("orders"),)), view(instance("b", address="a.name"))):
        snapshots.update(poorer)
        assert snapshots.of("test") == before


def test_before_the_first_view_there_is_nothing() -> None:
    assert Snapshots([Renderer()]).of("test") is None


def test_a_policy_that_goes_takes_its_clusters_along() -> None:
    snapshots = Snapshots([GrpcRenderer()])
    policy = TrafficPolicy("orders", outlier=Outlier(disabled=True))
    snapshots.update(view(instance("a"), policies=(policy,)))
    snapshots.update(view(instance("a")))
    newest = snapshots.of("grpc")
    assert newest is not None
    assert set(newest.of_type(CLUSTERS)) == {"orders"}


@pytest.mark.parametrize(
    ("message", "found"),
    [
        (
            stubs.Cluster(name="a", connect_timeout={"seconds": 0}),
            ".connect_timeout is 0:00:00; it must be gt",
        ),
        (stubs.Cluster(name="a", circuit_breakers={"thresholds": [{"retry_budget": {}}]}), ""),
        (stubs.LbEndpoint(load_balancing_weight={"value": 0}), ".load_balancing_weight is 0; it must"),
        (
            stubs.OutlierDetection(max_ejection_percent={"value": 101}),
            ".max_ejection_percent is 101; it",
        ),
        (stubs.Route(match={"prefix": "/"}), ": one of action is required"),
        (stubs.Route(route={"cluster": "a"}), ".match is required"),
        (stubs.HeaderMatcher(string_match={"exact": "v2"}), ".name is empty"),
    ],
)
def test_resources_are_held_to_the_rules_of_their_contract(message: Any, found: str) -> None:
    said = list(violations(message))
    assert len(said) == bool(found)
    assert not said or said[0].startswith(found)


def test_what_sits_in_an_any_is_looked_at_too() -> None:
    inner = stubs.LocalRateLimit(token_bucket={"max_tokens": 0})
    host = stubs.VirtualHost(name="edge", domains=["*"])
    host.typed_per_filter_config["envoy.filters.http.local_ratelimit"].Pack(inner)
    inside = ".typed_per_filter_config[LocalRateLimit]"
    assert set(violations(host)) == {
        f"{inside}.stat_prefix is empty",
        f"{inside}.token_bucket.fill_interval is required",
        f"{inside}.token_bucket.max_tokens is empty",
    }
    host.typed_per_filter_config["other"].type_url = "type.googleapis.com/not.Known"
    assert any("not.Known, which is not known here" in each for each in violations(host))
