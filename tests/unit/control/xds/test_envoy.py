"""What the edge is told."""

import errno
import json
from datetime import timedelta
from pathlib import Path
from typing import Any, NoReturn

import pytest
from google.protobuf import json_format
from google.protobuf.any_pb2 import Any as Packed
from structlog.testing import capture_logs

from fleet.edge import limits
from fleet.edge.settings import Address, EdgeSettings
from fleet.settings import Limit
from services.control.adapters.xds import stubs
from services.control.adapters.xds.edge_table import EdgeTable
from services.control.adapters.xds.envoy import EnvoyRenderer
from services.control.adapters.xds.validation import violations
from services.control.domain.policy import (
    Balancing,
    EdgePolicy,
    HeaderRoute,
    RateLimit,
    Retries,
    TrafficPolicy,
    VersionWeight,
)
from services.control.domain.view import FleetView
from tests.unit.control.xds.fleets import instance, view

LOCAL = "envoy.filters.http.local_ratelimit"
SHARED = "envoy.filters.http.ratelimit"
NONE = RateLimit(0, timedelta(minutes=1))
SAFE = "connect-failure,refused-stream"


def route(name: str, cluster: str, retry_on: str = f"{SAFE},reset,unavailable") -> dict[str, Any]:
    retry = {"retry_on": retry_on, "num_retries": 2}
    return {"name": name, "match": {"path": f"/{name}"}, "route": {"cluster": cluster, "retry_policy": retry}}


def table(tmp_path: Path, *routes: dict[str, Any], **host: Any) -> Path:
    path = tmp_path / "routes.json"
    host = {"name": "edge", "domains": ["*"], "routes": list(routes)} | host
    path.write_text(json.dumps({"name": "edge", "virtual_hosts": [host]}))
    return path


def host_of(path: Path, fleet: FleetView) -> Any:
    """The virtual host of the rendered routes."""
    _, routes = EnvoyRenderer(EdgeTable(path)).shared(fleet)
    any_routes: Any = routes
    [host] = any_routes.virtual_hosts
    return host


def test_routes_to_other_things_than_services_stay_as_they_are(tmp_path: Path) -> None:
    own = {"name": "docs", "match": {"path": "/docs"}, "direct_response": {"status": 200}}
    path = table(tmp_path, own, route("traces", "otlp"), route("get", "orders"))
    host = host_of(path, view(instance("a")))
    plain = EdgeTable(path).routes().virtual_hosts[0]
    assert list(host.routes)[:2] == list(plain.routes)[:2]
    assert host.routes[2].route.cluster == "orders"


def test_headers_come_before_weights_and_keep_what_the_route_asks_for(tmp_path: Path) -> None:
    policy = TrafficPolicy(
        "orders",
        weights=(VersionWeight("v1", 90), VersionWeight("v2", 10), VersionWeight("v3", 0)),
        header_routes=(HeaderRoute("x-version", "v2", "v2"),),
    )
    path = table(tmp_path, route("get", "orders"), route("list", "orders"))
    first, second, *others = host_of(path, view(instance("a"), policies=(policy,))).routes
    assert first.match.path == second.match.path == "/get"
    assert first.match.headers[0].string_match.exact == "v2"
    assert first.route.cluster == "orders@v2"
    weighted = second.route.weighted_clusters
    assert [(each.name, each.weight.value) for each in weighted.clusters] == [
        ("orders@v1", 90),
        ("orders@v2", 10),
    ]
    assert not weighted.use_hash_policy.value
    assert not second.route.hash_policy
    assert [each.match.path for each in others] == ["/list", "/list"]


def test_sticky_services_are_hashed_by_person_else_by_address(tmp_path: Path) -> None:
    policy = TrafficPolicy("orders", weights=(VersionWeight("v1", 100),), balancing=Balancing.RING_HASH)
    [only] = host_of(table(tmp_path, route("get", "orders")), view(instance("a"), policies=(policy,))).routes
    by_person, by_address = only.route.hash_policy
    assert by_person.header.header_name == "x-user-id"
    assert by_person.terminal
    assert by_address.connection_properties.source_ip
    assert only.route.weighted_clusters.use_hash_policy.value


@pytest.mark.parametrize(("causes", "bounded"), [(f"{SAFE},reset,unavailable", True), (SAFE, False)])
def test_only_beside_attempts_that_may_be_repeated_another_one_begins(
    tmp_path: Path, causes: str, bounded: bool
) -> None:
    retries = Retries(attempts=4, per_try_timeout=timedelta(seconds=1), backoff=timedelta(milliseconds=10))
    policy = TrafficPolicy("orders", retries=retries)
    [only] = host_of(
        table(tmp_path, route("get", "orders", causes)), view(instance("a"), policies=(policy,))
    ).routes
    retry = only.route.retry_policy
    assert (retry.retry_on, retry.num_retries.value) == (causes, 3)
    assert retry.HasField("per_try_timeout") is bounded
    assert only.route.hedge_policy.hedge_on_per_try_timeout is bounded
    assert retry.retry_back_off.base_interval.ToTimedelta() == timedelta(milliseconds=10)


def test_one_attempt_means_none_is_repeated(tmp_path: Path) -> None:
    policy = TrafficPolicy("orders", retries=Retries(attempts=1))
    [only] = host_of(table(tmp_path, route("get", "orders")), view(instance("a"), policies=(policy,))).routes
    assert not only.route.HasField("retry_policy")


def test_a_route_without_retries_gets_none(tmp_path: Path) -> None:
    streaming = route("watch", "orders")
    del streaming["route"]["retry_policy"]
    [only] = host_of(table(tmp_path, streaming), view(instance("a"))).routes
    assert not only.route.HasField("retry_policy")


def local_limits(edge: EdgePolicy) -> Any:
    """The settings of the filter by which one proxy counts, rendered without routes."""
    [resource] = map(_any, EnvoyRenderer(EdgeTable(None)).shared(view(edge=edge)))
    limits = stubs.LocalRateLimit()
    assert resource.name == LOCAL
    assert resource.typed_config.Unpack(limits)
    assert not list(violations(resource))
    return limits


def test_each_client_has_a_bucket() -> None:
    limits = local_limits(
        EdgePolicy(RateLimit(100, timedelta(minutes=15)), RateLimit(6000, timedelta(minutes=15)))
    )
    person, anonymous = limits.descriptors
    assert [(each.key, each.value) for each in person.entries] == [("person", "")]
    assert person.token_bucket.max_tokens == person.token_bucket.tokens_per_fill.value == 6000
    assert [(each.key, each.value) for each in anonymous.entries] == [
        ("anonymous", "true"),
        ("masked_remote_address", ""),
    ]
    assert anonymous.token_bucket.fill_interval.ToTimedelta() == timedelta(minutes=15)
    assert limits.max_dynamic_descriptors.value > 1000
    assert limits.rate_limited_as_resource_exhausted
    assert not limits.always_consume_default_token_bucket.value
    assert limits.HasField("always_consume_default_token_bucket")


@pytest.mark.parametrize("edge", [EdgePolicy(NONE, NONE), EdgePolicy(shared=True)])
def test_without_limits_or_with_shared_ones_a_proxy_is_told_to_count_nothing(edge: EdgePolicy) -> None:
    assert local_limits(edge) == stubs.LocalRateLimit(stat_prefix="clients")


@pytest.mark.parametrize(
    ("anonymous", "person"), [("100/15m", "6000/15m"), ("5/1d", "0"), ("0", "7/30s"), ("0", "0")]
)
def test_an_edge_without_control_counts_as_control_tells_the_others(
    tmp_path: Path, anonymous: str, person: str
) -> None:
    rates = [Limit.parse(text) for text in (anonymous, person)]
    nowhere = Address("127.0.0.1", 9)
    settings = EdgeSettings(
        nowhere, nowhere, {}, tmp_path, anonymous_limit=rates[0], authenticated_limit=rates[1]
    )
    own = stubs.LocalRateLimit()
    packed = json_format.ParseDict(limits.local_filter(settings)["typed_config"], Packed())
    assert packed.Unpack(own)
    assert own == local_limits(EdgePolicy(*(RateLimit(rate.requests, rate.per) for rate in rates)))


def test_limits_that_are_not_shared_are_no_part_of_the_routes(tmp_path: Path) -> None:
    cors = {"@type": "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy", "max_age": "600"}
    path = table(tmp_path, typed_per_filter_config={"envoy.filters.http.cors": cors})
    for edge in (EdgePolicy(), EdgePolicy(NONE, NONE), EdgePolicy(NONE, NONE, shared=True)):
        assert set(host_of(path, view(edge=edge)).typed_per_filter_config) == {"envoy.filters.http.cors"}


def test_shared_limits_are_asked_for_and_not_counted_here(tmp_path: Path) -> None:
    host = host_of(table(tmp_path), view(edge=EdgePolicy(shared=True)))
    assert set(host.typed_per_filter_config) == {SHARED}
    asked = stubs.RateLimitPerRoute()
    assert host.typed_per_filter_config[SHARED].Unpack(asked)
    person, anonymous = asked.rate_limits
    assert person.actions[0].request_headers.header_name == "x-user-id"
    assert [each.WhichOneof("action_specifier") for each in anonymous.actions] == [
        "header_value_match",
        "masked_remote_address",
    ]


def test_a_table_that_cannot_be_read_leaves_the_last_one(tmp_path: Path) -> None:
    path = table(tmp_path, route("get", "orders"))
    edge = EdgeTable(path)
    before = edge.routes()
    path.write_text('{"name": "edge", "virtual_hosts": [{"nonsense": 1}]}')
    assert edge.routes() is before
    path.unlink()
    assert edge.routes() is before
    table(tmp_path, route("get", "orders"), route("list", "orders"))
    assert len(edge.routes().virtual_hosts[0].routes) == 2


def test_a_table_that_could_not_be_read_once_is_read_at_the_next_look(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = EdgeTable(table(tmp_path, route("get", "orders")))
    with monkeypatch.context() as failing, capture_logs() as logs:
        failing.setattr(Path, "read_bytes", _too_many_files)
        assert [edge.routes() for _ in range(3)] == [None] * 3
    assert [each["event"] for each in logs] == ["xds.edge-routes-unreadable"]
    assert len(edge.routes().virtual_hosts[0].routes) == 1
    table(tmp_path, route("get", "orders"), route("list", "orders"))
    with monkeypatch.context() as failing, capture_logs() as logs:
        failing.setattr(Path, "read_bytes", _too_many_files)
        assert len(edge.routes().virtual_hosts[0].routes) == 1
    assert [each["event"] for each in logs] == ["xds.edge-routes-unreadable"]
    assert len(edge.routes().virtual_hosts[0].routes) == 2


def test_a_table_that_is_out_of_reach_again_is_told_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = EdgeTable(table(tmp_path, route("get", "orders")))
    before = edge.routes()
    with capture_logs() as logs:
        for _ in range(2):
            with monkeypatch.context() as failing:
                failing.setattr(Path, "stat", _too_many_files)
                assert [edge.routes() for _ in range(3)] == [before] * 3
            assert edge.routes() is before
    assert [each["event"] for each in logs] == ["xds.edge-routes-unreadable"] * 2


def _too_many_files(_path: Path) -> NoReturn:
    raise OSError(errno.EMFILE, "Too many open files")


def test_a_table_that_does_not_parse_is_told_once_until_it_changes(tmp_path: Path) -> None:
    path = tmp_path / "routes.json"
    edge = EdgeTable(path)
    with capture_logs() as logs:
        for text in ("{", "{{"):
            path.write_text(text)
            assert [edge.routes() for _ in range(3)] == [None] * 3
    assert [each["event"] for each in logs] == ["xds.edge-routes-unreadable"] * 2


def test_before_there_is_a_table_there_are_no_routes(tmp_path: Path) -> None:
    path = tmp_path / "routes.json"
    renderer = EnvoyRenderer(EdgeTable(path))
    assert [type(each) for each in renderer.shared(view(instance("a")))] == [stubs.TypedExtensionConfig]
    early = renderer.shared_key(view(instance("a")))
    table(tmp_path, route("get", "orders"))
    assert renderer.shared_key(view(instance("a"))) != early


def test_clusters_say_what_breaks_and_what_is_checked() -> None:
    policy = TrafficPolicy("orders", retries=Retries(budget_percent=30))
    [cluster, _] = map(
        _any, EnvoyRenderer(EdgeTable(None)).service(view(instance("a"), policies=(policy,)), "orders")
    )
    [threshold] = cluster.circuit_breakers.thresholds
    assert threshold.max_requests.value == 4096
    assert threshold.retry_budget.budget_percent.value == 30
    assert cluster.outlier_detection.consecutive_5xx.value == 3
    assert cluster.outlier_detection.failure_percentage_threshold.value == 85
    assert cluster.health_checks[0].HasField("grpc_health_check")
    assert cluster.ignore_health_on_host_removal


def test_with_tls_certificates_are_files_that_are_watched(tmp_path: Path) -> None:
    renderer = EnvoyRenderer(EdgeTable(None), tls_dir=tmp_path)
    fleet = view(instance("a"))
    [cluster, _] = map(_any, renderer.service(fleet, "orders"))
    context = stubs.UpstreamTlsContext()
    assert cluster.transport_socket.typed_config.Unpack(context)
    default = context.common_tls_context.combined_validation_context.default_validation_context
    assert default.match_typed_subject_alt_names[0].matcher.exact == "spiffe://greenledger/orders"
    _, own, authority = map(_any, renderer.shared(fleet))
    assert own.tls_certificate.private_key.filename == str(tmp_path / "key.pem")
    assert own.tls_certificate.watched_directory.path == str(tmp_path)
    assert authority.validation_context.trusted_ca.filename == str(tmp_path / "authority.pem")


def _any(message: Any) -> Any:
    return message
