"""What gRPC clients are told: for `xds:///orders` a listener, routes, clusters and endpoints.

Only what gRPC understands (gRFCs A27, A28, A31, A32, A42, A50 and A55): retries are made by our own client
chain and deadlines are the calls' own, since those of xDS come too early or lack what we need.
"""

from collections.abc import Hashable, Iterator
from typing import Any

from google.protobuf.any_pb2 import Any as AnyProto
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

from chassis.tls import grpc_upstream
from services.control.adapters.xds import shapes, stubs
from services.control.domain.policy import Balancing, TrafficPolicy
from services.control.domain.view import FleetView

KEY_HEADER = "x-greenledger-key"
"""Calls with the same value go to the same instance of a service that is balanced on a ring."""

# The client's own cap, above which it cuts rings down.
_LARGEST_RING = 4096
# A policy's ring size is that of so many instances.
_RING_OF = 8
_DEFAULT_MAX_REQUESTS = 1000


class GrpcRenderer:
    """Renders one service for gRPC clients.

    Args:
        tls: whether connections inside the fleet are mutual TLS; default no.
    """

    kind = "grpc"

    def __init__(self, *, tls: bool = False) -> None:
        self._tls = tls

    def service(self, view: FleetView, service: str) -> Iterator[Message]:
        """All resources of one service; none as long as it has no instance."""
        policy = view.policy(service)
        if not (known := shapes.reachable(view.instances.get(service, ()))):
            return
        yield _listener(service)
        yield _routes(policy)
        weights = shapes.shares(view, policy) if _on_one_ring(policy) else {}
        chosen = [instance for instance in known if not weights or instance.instance_id in weights]
        yield self._cluster(service, policy, len(chosen))
        yield shapes.endpoints(service, chosen, weights)
        for version, cluster in shapes.versions_of(policy).items():
            running = shapes.reachable(view.of_version(service, version))
            yield self._cluster(cluster, policy, len(running))
            yield shapes.endpoints(cluster, running)

    def shared(self, view: FleetView) -> Iterator[Message]:
        """Nothing belongs to the fleet as a whole."""
        yield from ()

    def shared_key(self, view: FleetView) -> Hashable:
        """Nothing changes."""
        return True

    def _cluster(self, name: str, policy: TrafficPolicy, instances: int) -> Message:
        # The ring grows with the instances: were it always as large, the points of those that stay would
        # change when one leaves, and more keys than its own would move.
        ring_size = max(1, policy.ring_size // _RING_OF) * instances
        cluster: Message = stubs.Cluster(
            name=name,
            type="EDS",
            eds_cluster_config={"eds_config": shapes.ADS},
            circuit_breakers={
                "thresholds": [{"max_requests": {"value": policy.max_requests or _DEFAULT_MAX_REQUESTS}}]
            },
            outlier_detection=shapes.outlier(policy),
            **shapes.balancing(policy, ring_size, _LARGEST_RING),
            **self._transport(policy.service),
        )
        return cluster

    def _transport(self, service: str) -> dict[str, Any]:
        if not self._tls:
            return {}
        context = ParseDict(grpc_upstream(service), stubs.UpstreamTlsContext())
        return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": packed(context)}}


def packed(message: Message) -> AnyProto:
    """A message in an Any."""
    packed = AnyProto()
    packed.Pack(message, deterministic=True)
    return packed


def _listener(service: str) -> Message:
    manager = stubs.HttpConnectionManager(
        stat_prefix=service,
        rds={"route_config_name": service, "config_source": shapes.ADS},
        http_filters=[{"name": "router", "typed_config": packed(stubs.Router())}],
    )
    listener: Message = stubs.Listener(name=service, api_listener={"api_listener": packed(manager)})
    return listener


def _routes(policy: TrafficPolicy) -> Message:
    clusters = shapes.versions_of(policy)
    routes = [
        _route(policy, {"cluster": clusters[entry.version]}, [shapes.header_matcher(entry)])
        for entry in policy.header_routes
    ]
    routes.append(_route(policy, _split(policy), []))
    host = {"name": policy.service, "domains": ["*"], "routes": routes}
    configuration: Message = stubs.RouteConfiguration(name=policy.service, virtual_hosts=[host])
    return configuration


def _split(policy: TrafficPolicy) -> dict[str, Any]:
    weighted = shapes.weighted_clusters(policy)
    if not weighted or _on_one_ring(policy):
        return {"cluster": policy.service}
    return {"weighted_clusters": {"clusters": weighted}}


def _route(policy: TrafficPolicy, action: dict[str, Any], headers: list[Any]) -> dict[str, Any]:
    if policy.balancing is Balancing.RING_HASH:
        action = action | {"hash_policy": [{"header": {"header_name": KEY_HEADER}}]}
    return {"match": {"prefix": "", "headers": headers}, "route": action}


def _on_one_ring(policy: TrafficPolicy) -> bool:
    """Whether shares of versions are shares of one ring.

    A gRPC client draws weighted clusters by lot, whatever the key. With all versions on one ring, each with
    its part of it, calls of one key stay with one instance while the parts shift, but for the keys that move.
    """
    return bool(policy.weights) and policy.balancing is Balancing.RING_HASH
