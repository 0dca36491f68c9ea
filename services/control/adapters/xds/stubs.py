"""Messages of xDS, from a folder of their own: the one place that knows where they are.

The package `xds-protos` brings copies of google/ and opentelemetry/ that would hide the newer ones of other
packages, and its `envoy` is the name of other things as well. It is therefore installed beside the
environment, without those copies, and looked at last. Every message that can sit in an `Any` is imported
here, since neither JSON nor text of one can be read otherwise.
"""

import os
import sys
from pathlib import Path

FOLDER_VARIABLE = "GREENLEDGER_XDS_PROTOS"


def protos_folder() -> Path:
    """Folder of the package `xds-protos`: the one of GREENLEDGER_XDS_PROTOS, or the environment's.

    Raises:
        ImportError: it is not there.
    """
    folder = Path(os.environ.get(FOLDER_VARIABLE) or Path(sys.prefix) / "opt" / "xds-protos")
    if not (folder / "envoy" / "__init__.py").is_file():
        raise ImportError(
            f"xds-protos is not in {folder}: run `make env`, or set {FOLDER_VARIABLE} to its folder "
            "(pip install --no-deps --target FOLDER -r requirements-xds.lock)"
        )
    return folder


def _find() -> None:
    folder = str(protos_folder())
    if folder not in sys.path:
        sys.path.append(folder)


_find()

# ruff: noqa: E402  (the path comes first)
from envoy.config.cluster.v3.cluster_pb2 import Cluster
from envoy.config.cluster.v3.outlier_detection_pb2 import OutlierDetection
from envoy.config.core.v3.base_pb2 import (
    DataSource,
    HeaderValueOption,
    Node,
    TransportSocket,
    WatchedDirectory,
)
from envoy.config.core.v3.extension_pb2 import TypedExtensionConfig
from envoy.config.core.v3.health_check_pb2 import HealthCheck
from envoy.config.endpoint.v3.endpoint_components_pb2 import LbEndpoint
from envoy.config.endpoint.v3.endpoint_pb2 import ClusterLoadAssignment
from envoy.config.listener.v3.listener_pb2 import Listener
from envoy.config.route.v3.route_components_pb2 import (
    FilterConfig,
    HeaderMatcher,
    RateLimit,
    Route,
    RouteAction,
    VirtualHost,
    WeightedCluster,
)
from envoy.config.route.v3.route_pb2 import RouteConfiguration
from envoy.extensions.filters.http.cors.v3.cors_pb2 import CorsPolicy
from envoy.extensions.filters.http.grpc_json_transcoder.v3.transcoder_pb2 import GrpcJsonTranscoder
from envoy.extensions.filters.http.header_mutation.v3.header_mutation_pb2 import HeaderMutationPerRoute
from envoy.extensions.filters.http.jwt_authn.v3.config_pb2 import PerRouteConfig as JwtPerRoute
from envoy.extensions.filters.http.local_ratelimit.v3.local_rate_limit_pb2 import LocalRateLimit
from envoy.extensions.filters.http.lua.v3.lua_pb2 import LuaPerRoute
from envoy.extensions.filters.http.ratelimit.v3.rate_limit_pb2 import RateLimitPerRoute
from envoy.extensions.filters.http.router.v3.router_pb2 import Router
from envoy.extensions.filters.network.http_connection_manager.v3.http_connection_manager_pb2 import (
    HttpConnectionManager,
)
from envoy.extensions.retry.host.previous_hosts.v3.previous_hosts_pb2 import PreviousHostsPredicate
from envoy.extensions.transport_sockets.tls.v3.secret_pb2 import Secret
from envoy.extensions.transport_sockets.tls.v3.tls_pb2 import UpstreamTlsContext
from envoy.extensions.upstreams.http.v3.http_protocol_options_pb2 import HttpProtocolOptions
from envoy.service.discovery.v3.ads_pb2_grpc import (
    AggregatedDiscoveryServiceStub,
    add_AggregatedDiscoveryServiceServicer_to_server,
)
from envoy.service.discovery.v3.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from envoy.service.ratelimit.v3.rls_pb2 import RateLimitRequest, RateLimitResponse
from envoy.service.ratelimit.v3.rls_pb2_grpc import (
    RateLimitServiceStub,
    add_RateLimitServiceServicer_to_server,
)
from validate import validate_pb2 as rules

__all__ = [
    "FOLDER_VARIABLE",
    "AggregatedDiscoveryServiceStub",
    "Cluster",
    "ClusterLoadAssignment",
    "CorsPolicy",
    "DataSource",
    "DiscoveryRequest",
    "DiscoveryResponse",
    "FilterConfig",
    "GrpcJsonTranscoder",
    "HeaderMatcher",
    "HeaderMutationPerRoute",
    "HeaderValueOption",
    "HealthCheck",
    "HttpConnectionManager",
    "HttpProtocolOptions",
    "JwtPerRoute",
    "LbEndpoint",
    "Listener",
    "LocalRateLimit",
    "LuaPerRoute",
    "Node",
    "OutlierDetection",
    "PreviousHostsPredicate",
    "RateLimit",
    "RateLimitPerRoute",
    "RateLimitRequest",
    "RateLimitResponse",
    "RateLimitServiceStub",
    "Route",
    "RouteAction",
    "RouteConfiguration",
    "Router",
    "Secret",
    "TransportSocket",
    "TypedExtensionConfig",
    "UpstreamTlsContext",
    "VirtualHost",
    "WatchedDirectory",
    "WeightedCluster",
    "add_AggregatedDiscoveryServiceServicer_to_server",
    "add_RateLimitServiceServicer_to_server",
    "protos_folder",
    "rules",
]
