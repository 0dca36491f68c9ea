"""The edge's routes: its own table, which follows from the contracts, with what policy says laid over it."""

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from google.protobuf.message import Message

from services.control.adapters.xds import shapes, stubs
from services.control.adapters.xds.edge_limits import share
from services.control.domain.policy import Balancing, Retries, TrafficPolicy
from services.control.domain.view import FleetView

USER_HEADER = "x-user-id"
"""Written by the edge from the verified token; what a caller sends under it is dropped."""

# Of hundreds of routes a change of policy touches those of one service.
_MOST_REMEMBERED = 4096


def overlaid(table: Any, view: FleetView) -> Message:
    """The routes with every policy laid over them.

    Args:
        table: a RouteConfiguration whose routes name services as their clusters; the others stay as they are.
    """
    routes: Any = stubs.RouteConfiguration()
    routes.CopyFrom(table)
    for host in routes.virtual_hosts:
        own = [each for route in host.routes for each in _laid_over(route, view)]
        del host.routes[:]
        host.routes.extend(own)
        share(host, view.edge)
    result: Message = routes
    return result


def _laid_over(route: Any, view: FleetView) -> Iterable[Any]:
    service = route.route.cluster
    if not service or service not in {*view.instances, *view.policies}:
        return (route,)
    return _variants(route.SerializeToString(deterministic=True), view.policy(service))


@lru_cache(_MOST_REMEMBERED)
def _variants(content: bytes, policy: TrafficPolicy) -> tuple[Any, ...]:
    """The route once for each header that decides, then by weights."""
    route = stubs.Route.FromString(content)
    clusters = shapes.versions_of(policy)
    variants = []
    for entry in policy.header_routes:
        variant = _variant(route, policy)
        variant.match.headers.append(shapes.header_matcher(entry))
        variant.route.cluster = clusters[entry.version]
        variants.append(variant)
    variant = _variant(route, policy)
    if weighted := shapes.weighted_clusters(policy):
        split = stubs.WeightedCluster(clusters=weighted)
        if policy.balancing is Balancing.RING_HASH:
            # The same caller stays with the same version, but for those whom the shift of weights moves.
            split.use_hash_policy.value = True
        variant.route.weighted_clusters.CopyFrom(split)
    return (*variants, variant)


def _variant(route: Any, policy: TrafficPolicy) -> Any:
    variant = stubs.Route()
    variant.CopyFrom(route)
    if policy.balancing is Balancing.RING_HASH:
        variant.route.hash_policy.extend(_key())
    if variant.route.HasField("retry_policy"):
        _retry(variant.route, policy.retries)
    return variant


def _key() -> list[Any]:
    policies: list[dict[str, Any]] = [
        {"header": {"header_name": USER_HEADER}, "terminal": True},
        {"connection_properties": {"source_ip": True}},
    ]
    return [stubs.RouteAction.HashPolicy(**policy) for policy in policies]


def _retry(action: Any, retries: Retries) -> None:
    """Whether a method may be repeated says the table; how often and how fast, the policy."""
    if retries.attempts == 1:
        action.ClearField("retry_policy")
        return
    policy = action.retry_policy
    policy.num_retries.value = retries.attempts - 1
    policy.retry_back_off.base_interval.FromTimedelta(retries.backoff)
    policy.retry_back_off.max_interval.FromTimedelta(max(retries.backoff, retries.max_backoff))
    if "reset" in policy.retry_on.split(","):
        policy.per_try_timeout.FromTimedelta(retries.per_try_timeout)
        # Beside an attempt that takes long another one begins, and the first answer counts. Were it ended
        # instead, what takes longer than the limit everywhere would have no answer at all.
        action.hedge_policy.hedge_on_per_try_timeout = True
