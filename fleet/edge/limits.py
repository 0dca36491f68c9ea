"""How many requests each client of the edge may make: per address without a valid token, per person with one.

Who calls is known from `x-user-id`, which `envoy/lua/identity.lua` writes from the verified token, and from
the address that the connection has; nothing that a caller says of itself counts. Where the edge's routes come
from control, so do the limits.
"""

from typing import Any

from chassis import edge_limits
from chassis.edge_limits import LOCAL_FILTER, SHARED_FILTER
from fleet.edge.settings import EdgeSettings

Json = dict[str, Any]

# Where control serves discovery and shared counts.
CONTROL_CLUSTER = "control-xds"
# A request waits no longer for the shared counts, and is let through.
ANSWER_WITHIN = "0.1s"

_LOCAL = "type.googleapis.com/envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit"
_SHARED = "type.googleapis.com/envoy.extensions.filters.http.ratelimit.v3.RateLimit"
_TOLD_WITHIN = "2s"
_FILTER = "type.googleapis.com/envoy.config.route.v3.FilterConfig"
_ALWAYS = {"default_value": {"numerator": 100}}
_RESOURCE_EXHAUSTED = {"rate_limited_as_resource_exhausted": True}
_HEADERS = {"enable_x_ratelimit_headers": "DRAFT_VERSION_03"}


def per_client(settings: EdgeSettings) -> Json:
    """Settings of the filter that counts in this process."""
    return {
        "@type": _LOCAL,
        **edge_limits.local_limit(settings.anonymous_limit, settings.authenticated_limit),
    }


def unlimited() -> Json:
    """What a route says that counts for nobody."""
    off = {"@type": _FILTER, "disabled": True}
    return {LOCAL_FILTER: off, SHARED_FILTER: off}


def local_filter(settings: EdgeSettings) -> Json:
    """The filter that counts in this process, as the settings say or, where control is, as control tells."""
    return told_filter() if settings.xds else {"name": LOCAL_FILTER, "typed_config": per_client(settings)}


def told_filter() -> Json:
    """The filter that counts in this process as control tells it.

    That is a resource of its own and no part of the routes, since every client has a new quota whenever Envoy
    takes it anew. The listener, which waits for its routes anyway, waits for it no longer than `_TOLD_WITHIN`
    and opens without a limit then; later it keeps the last one that it was told.
    """
    source = {"ads": {}, "resource_api_version": "V3", "initial_fetch_timeout": _TOLD_WITHIN}
    nothing = {"@type": _LOCAL, **edge_limits.no_limit()}
    discovery = {"config_source": source, "default_config": nothing, "type_urls": [_LOCAL]}
    return {"name": LOCAL_FILTER, "config_discovery": discovery}


def shared_filter() -> Json:
    """The filter that asks control, which counts for all edge processes; idle until routes say what to ask.

    Where control does not answer in time the request is let through.
    """
    return {
        "@type": _SHARED,
        "domain": "edge",
        "timeout": ANSWER_WITHIN,
        "failure_mode_deny": False,
        "disable_x_envoy_ratelimited_header": True,
        "rate_limit_service": {
            "transport_api_version": "V3",
            "grpc_service": {"envoy_grpc": {"cluster_name": CONTROL_CLUSTER}, "timeout": ANSWER_WITHIN},
        },
        **_RESOURCE_EXHAUSTED,
        **_HEADERS,
    }


def whole_filter(settings: EdgeSettings) -> Json:
    """The filter that bounds what one edge process lets through, whoever calls."""
    config: Json = {"@type": _LOCAL, "stat_prefix": "edge", **_RESOURCE_EXHAUSTED}
    if settings.requests_per_second:
        config |= {"filter_enabled": _ALWAYS, "filter_enforced": _ALWAYS}
        config["token_bucket"] = {
            "max_tokens": settings.requests_per_second * 2,
            "tokens_per_fill": settings.requests_per_second,
            "fill_interval": "1s",
        }
    return config
