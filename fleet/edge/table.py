"""The edge's route table: in its configuration, or from control by the name `edge`."""

from typing import Any

from fleet.edge import limits, routes
from fleet.edge.contract import Method
from fleet.edge.pages import page_routes
from fleet.edge.settings import EdgeSettings
from interceptors.status import NOT_BEGUN_KEY

Json = dict[str, Any]

NAME = "edge"
_CORS = "type.googleapis.com/envoy.extensions.filters.http.cors.v3.CorsPolicy"
_ALLOWED = (
    "authorization, content-type, grpc-timeout, traceparent, tracestate, x-grpc-web, x-request-id, "
    "x-user-agent, x-version"
)
_EXPOSED = (
    "grpc-message, grpc-status, grpc-status-details-bin, ratelimit-limit, ratelimit-remaining, "
    "ratelimit-reset, retry-after, x-request-id"
)


def route_table(methods: list[Method], settings: EdgeSettings) -> Json:
    """An `envoy.config.route.v3.RouteConfiguration` in proto JSON."""
    host = {
        "name": NAME,
        "domains": ["*"],
        "typed_per_filter_config": {"envoy.filters.http.cors": _cors(settings)},
        # What the edge itself goes by.
        "response_headers_to_remove": [NOT_BEGUN_KEY],
        "routes": [
            *page_routes(settings),
            *routes.grpc_routes(methods, settings),
            *routes.json_routes(methods, settings),
        ],
    }
    return {"name": NAME, "max_direct_response_body_size_bytes": 8 * 1024 * 1024, "virtual_hosts": [host]}


def route_source(table: Json, settings: EdgeSettings) -> tuple[str, Json]:
    """Field and value by which the listener finds its routes."""
    if not settings.xds:
        return "route_config", table
    # Without routes the listener would answer 404 to everything: it opens when they have come.
    source = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"}
    return "rds", {"route_config_name": NAME, "config_source": source}


def dynamic_resources(settings: EdgeSettings) -> Json | None:
    """Where routes, clusters and endpoints come from; None when everything is in the configuration."""
    if not settings.xds:
        return None
    retry = {"retry_back_off": {"base_interval": "0.2s", "max_interval": "2s"}}
    control = {"cluster_name": limits.CONTROL_CLUSTER, "retry_policy": retry}
    return {
        "ads_config": {
            "api_type": "GRPC",
            "transport_api_version": "V3",
            "set_node_on_first_message_only": True,
            "grpc_services": [{"envoy_grpc": control}],
        },
        "cds_config": {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": "0s"},
    }


def _cors(settings: EdgeSettings) -> Json:
    return {
        "@type": _CORS,
        "allow_origin_string_match": [{"exact": origin} for origin in settings.cors_origins],
        "allow_methods": "GET, POST, PUT, PATCH, DELETE",
        "allow_headers": _ALLOWED,
        "expose_headers": _EXPOSED,
        "max_age": "600",
    }
