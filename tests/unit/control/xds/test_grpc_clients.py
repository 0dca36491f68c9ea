"""What gRPC clients are told."""

from datetime import timedelta
from typing import Any

from services.control.adapters.xds import stubs
from services.control.adapters.xds.grpc_clients import GrpcRenderer
from services.control.domain.policy import Balancing, HeaderRoute, Outlier, TrafficPolicy, VersionWeight
from services.control.domain.view import FleetView
from tests.unit.control.xds.fleets import BORN, instance, view


def rendered(fleet: FleetView, service: str = "orders", **options: Any) -> dict[tuple[str, str], Any]:
    """Resources by kind and name."""
    found = {}
    for message in GrpcRenderer(**options).service(fleet, service):
        any_message: Any = message
        name = getattr(any_message, "cluster_name", "") or any_message.name
        found[type(message).__name__, name] = any_message
    return found


def ports(assignment: Any) -> list[int]:
    return sorted(
        each.endpoint.address.socket_address.port_value
        for locality in assignment.endpoints
        for each in locality.lb_endpoints
    )


def test_a_service_is_a_listener_routes_a_cluster_and_its_endpoints() -> None:
    a, b = instance("a"), instance("b")
    found = rendered(view(a, b))
    assert set(found) == {
        (kind, "orders") for kind in ("Listener", "RouteConfiguration", "Cluster", "ClusterLoadAssignment")
    }
    [route] = found["RouteConfiguration", "orders"].virtual_hosts[0].routes
    assert route.route.cluster == "orders"
    assert not route.route.HasField("retry_policy")
    assert not route.route.HasField("max_stream_duration")
    assert ports(found["ClusterLoadAssignment", "orders"]) == sorted([a.port, b.port])


def test_nothing_is_said_of_a_service_without_instances() -> None:
    assert rendered(view(policies=(TrafficPolicy("orders"),))) == {}


def test_each_version_of_the_policy_has_a_cluster() -> None:
    policy = TrafficPolicy("orders", weights=(VersionWeight("v1", 90), VersionWeight("v2", 10)))
    a, b = instance("a"), instance("b", "v2")
    found = rendered(view(a, b, policies=(policy,)))
    assert ports(found["ClusterLoadAssignment", "orders@v1"]) == [a.port]
    assert ports(found["ClusterLoadAssignment", "orders@v2"]) == [b.port]
    [route] = found["RouteConfiguration", "orders"].virtual_hosts[0].routes
    split = [(each.name, each.weight.value) for each in route.route.weighted_clusters.clusters]
    assert split == [("orders@v1", 90), ("orders@v2", 10)]


def test_headers_are_looked_at_in_their_order_and_before_weights() -> None:
    headers = (HeaderRoute("x-user-role", "farmer", "v2"), HeaderRoute("x-version", "v3", "v3"))
    policy = TrafficPolicy("orders", header_routes=headers)
    first, second, rest = (
        rendered(view(instance("a"), policies=(policy,)))["RouteConfiguration", "orders"]
        .virtual_hosts[0]
        .routes
    )
    assert first.match.headers[0].string_match.safe_regex.regex == "(^|.*,)farmer(,.*|$)"
    assert first.route.cluster == "orders@v2"
    assert second.match.headers[0].string_match.exact == "v3"
    assert (rest.route.cluster, len(rest.match.headers)) == ("orders", 0)


def test_an_address_given_twice_is_one_endpoint_and_a_host_name_is_none() -> None:
    old = instance("a", port=9000)
    new = instance("b", port=9000, born=BORN + timedelta(seconds=1))
    named = instance("c", address="orders.internal", port=9001)
    found = rendered(view(old, new, named))
    assert ports(found["ClusterLoadAssignment", "orders"]) == [9000]
    assert rendered(view(named)) == {}


def test_a_ring_grows_with_the_instances() -> None:
    policy = TrafficPolicy("orders", balancing=Balancing.RING_HASH)
    for count in (1, 3, 40):
        found = rendered(view(*(instance("i" * n) for n in range(1, count + 1)), policies=(policy,)))
        cluster = found["Cluster", "orders"]
        assert cluster.lb_policy == stubs.Cluster.RING_HASH
        assert cluster.ring_hash_lb_config.minimum_ring_size.value == min(4096, 128 * count)


def test_versions_share_one_ring_by_their_weights() -> None:
    weights = (VersionWeight("v1", 75), VersionWeight("v2", 25), VersionWeight("v3", 0))
    policy = TrafficPolicy("orders", weights=weights, balancing=Balancing.RING_HASH)
    fleet = view(instance("a"), instance("b"), instance("c", "v2"), instance("d", "v3"), policies=(policy,))
    found = rendered(fleet)
    [locality] = found["ClusterLoadAssignment", "orders"].endpoints
    assert [each.load_balancing_weight.value for each in locality.lb_endpoints] == [37500, 37500, 25000]
    [route] = found["RouteConfiguration", "orders"].virtual_hosts[0].routes
    assert route.route.cluster == "orders"
    assert route.route.hash_policy[0].header.header_name == "x-greenledger-key"


def test_instances_are_judged_by_their_share_of_failures_and_not_by_success_rates() -> None:
    policy = TrafficPolicy("orders", outlier=Outlier(failure_percent=70, ejection=timedelta(seconds=5)))
    outlier = rendered(view(instance("a"), policies=(policy,)))["Cluster", "orders"].outlier_detection
    assert outlier.failure_percentage_threshold.value == 70
    assert outlier.enforcing_failure_percentage.value == 100
    assert outlier.enforcing_success_rate.value == 0
    assert outlier.base_ejection_time.ToTimedelta() == timedelta(seconds=5)
    off = TrafficPolicy("orders", outlier=Outlier(disabled=True))
    assert not rendered(view(instance("a"), policies=(off,)))["Cluster", "orders"].HasField(
        "outlier_detection"
    )


def test_calls_at_once_are_bounded() -> None:
    for policy, most in ((TrafficPolicy("orders"), 1000), (TrafficPolicy("orders", max_requests=7), 7)):
        cluster = rendered(view(instance("a"), policies=(policy,)))["Cluster", "orders"]
        assert cluster.circuit_breakers.thresholds[0].max_requests.value == most


def test_with_tls_a_client_shows_its_certificate_and_asks_for_the_services() -> None:
    policy = TrafficPolicy("orders", weights=(VersionWeight("v1", 100),))
    found = rendered(view(instance("a"), policies=(policy,)), tls=True)
    for name in ("orders", "orders@v1"):
        context = stubs.UpstreamTlsContext()
        assert found["Cluster", name].transport_socket.typed_config.Unpack(context)
        common = context.common_tls_context
        assert common.tls_certificate_provider_instance.instance_name == "fleet"
        [expected] = common.validation_context.match_subject_alt_names
        assert expected.exact == "spiffe://greenledger/orders"
