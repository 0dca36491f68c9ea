"""What both kinds of clients are told in the same words: endpoints, outliers, header matches."""

import ipaddress
import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any

import structlog

from services.control.adapters.xds import stubs
from services.control.domain.instances import Instance
from services.control.domain.policy import Balancing, HeaderRoute, TrafficPolicy
from services.control.domain.view import FleetView

_log = structlog.get_logger(__name__)

ADS = {"ads": {}, "resource_api_version": "V3"}
"""Where a resource finds those that it names: on the stream that it came by."""

ROLES_HEADER = "x-user-role"
# An instance is judged only when it was asked often enough, and only against another one.
_FEWEST_CALLS = 10
_FEWEST_INSTANCES = 2
_LONGEST_EJECTION = timedelta(minutes=5)
# Weights of endpoints are whole numbers; percents are shared among at most a few hundred instances.
_WEIGHT_UNITS = 1000


def version_cluster(service: str, version: str) -> str:
    """The name of the cluster that holds one version's instances."""
    return f"{service}@{version}"


def versions_of(policy: TrafficPolicy) -> dict[str, str]:
    """Cluster by version, for every version that the policy names."""
    return {version: version_cluster(policy.service, version) for version in policy.versions}


def reachable(instances: Iterable[Instance]) -> tuple[Instance, ...]:
    """Those that an endpoint can be made of: with an IP address, and one for each address and port.

    A client refuses all endpoints of a service because of one host name, or of an address given twice, which
    happens when an instance was started anew and the lease of the one before it has not ended.
    """
    newest: dict[tuple[str, int], Instance] = {}
    for instance in sorted(instances, key=lambda each: (each.registered_at, each.instance_id)):
        try:
            ipaddress.ip_address(instance.address)
        except ValueError:
            _log.warning("xds.not-an-address", instance=instance.instance_id, address=instance.address)
            continue
        newest[instance.address, instance.port] = instance
    return tuple(sorted(newest.values(), key=lambda each: each.instance_id))


def endpoints(cluster: str, instances: Iterable[Instance], weights: Mapping[str, int] = {}) -> Any:
    """The assignment of instances to a cluster.

    Args:
        weights: of instances, by id; default all alike.
    """
    return stubs.ClusterLoadAssignment(
        cluster_name=cluster,
        endpoints=[
            {
                "locality": {"region": "fleet"},
                "load_balancing_weight": {"value": 1},
                "lb_endpoints": [
                    {
                        "endpoint": {"address": _address(instance)},
                        "health_status": "HEALTHY",
                        "load_balancing_weight": {"value": weights.get(instance.instance_id, 1)},
                    }
                    for instance in instances
                ],
            }
        ],
    )


def shares(view: FleetView, policy: TrafficPolicy) -> dict[str, int]:
    """Weights of instances by id, so that each version has its percents; empty without weights."""
    weights: dict[str, float] = {}
    for entry in policy.weights:
        instances = reachable(view.of_version(policy.service, entry.version))
        for instance in instances if entry.weight else ():
            part = entry.weight / len(instances)
            weights[instance.instance_id] = weights.get(instance.instance_id, 0.0) + part
    return {instance: max(1, round(weight * _WEIGHT_UNITS)) for instance, weight in weights.items()}


def outlier(policy: TrafficPolicy) -> Any:
    """When an instance is left alone, None for never.

    Envoy goes by failures in a row and by their share, gRPC clients by the share alone. Success rates are
    off, since they compare instances with one another and would eject the slowest of good ones.
    """
    rules = policy.outlier
    if rules.disabled:
        return None
    return stubs.OutlierDetection(
        interval=rules.interval,
        base_ejection_time=rules.ejection,
        max_ejection_time=max(rules.ejection, _LONGEST_EJECTION),
        max_ejection_percent={"value": rules.max_ejection_percent},
        consecutive_5xx={"value": rules.consecutive_errors},
        enforcing_consecutive_5xx={"value": 100},
        consecutive_gateway_failure={"value": rules.consecutive_errors},
        enforcing_consecutive_gateway_failure={"value": 100},
        enforcing_success_rate={"value": 0},
        failure_percentage_threshold={"value": rules.failure_percent},
        enforcing_failure_percentage={"value": 100},
        failure_percentage_minimum_hosts={"value": _FEWEST_INSTANCES},
        failure_percentage_request_volume={"value": _FEWEST_CALLS},
    )


def balancing(policy: TrafficPolicy, ring_size: int, largest_ring: int) -> dict[str, Any]:
    """Fields of a cluster that say how an instance is chosen."""
    if policy.balancing is Balancing.ROUND_ROBIN:
        return {"lb_policy": "ROUND_ROBIN"}
    ring = {
        "minimum_ring_size": {"value": min(ring_size, largest_ring)},
        "maximum_ring_size": {"value": largest_ring},
    }
    return {"lb_policy": "RING_HASH", "ring_hash_lb_config": ring}


def header_matcher(route: HeaderRoute) -> Any:
    """The match of a header route; a role is one whole word of a list."""
    if route.header == ROLES_HEADER:
        regex = f"(^|.*,){re.escape(route.value)}(,.*|$)"
        return stubs.HeaderMatcher(name=route.header, string_match={"safe_regex": {"regex": regex}})
    return stubs.HeaderMatcher(name=route.header, string_match={"exact": route.value})


def weighted_clusters(policy: TrafficPolicy) -> list[dict[str, Any]]:
    """Clusters with their percents, without those that get nothing."""
    clusters = versions_of(policy)
    return [
        {"name": clusters[entry.version], "weight": {"value": entry.weight}}
        for entry in policy.weights
        if entry.weight
    ]


def _address(instance: Instance) -> dict[str, Any]:
    return {"socket_address": {"address": instance.address, "port_value": instance.port}}
