"""Verification of user tokens at the edge. Each service verifies again and decides what a token may do."""

from typing import Any

from fleet.edge.contract import Method
from fleet.edge.settings import EdgeSettings

Json = dict[str, Any]

_CONFIG = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
_PER_ROUTE = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.PerRouteConfig"
_RBAC = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC"
_CLOCK_SKEW_S = 10
# gRPC, after gRPC-Web has been made it.
GRPC = r"application/grpc(\+.*)?"


def jwt_authn(settings: EdgeSettings) -> Json:
    """Configuration of the filter. What a request needs is said by its route; see `required`.

    Keys come from two copies of the same key set. The fresh one is read anew every few seconds, so that a
    new key counts at once; the lasting one keeps verifying while the auth service does not answer.
    """
    either = [{"provider_name": "fresh"}, {"provider_name": "lasting"}]
    return {
        "@type": _CONFIG,
        "providers": {
            "fresh": _provider(settings, settings.jwks_fresh_s),
            "lasting": _provider(settings, settings.jwks_lasting_s),
        },
        "requirement_map": {
            "token": _any(either),
            "token or none": _any([*either, {"allow_missing": {}}]),
        },
    }


def required(method: Method) -> Json:
    """What a route to this method says to the filter, for `typed_per_filter_config`."""
    requirement = "token or none" if method.public else "token"
    return {"envoy.filters.http.jwt_authn": {"@type": _PER_ROUTE, "requirement_name": requirement}}


def gate(methods: list[Method]) -> Json:
    """Configuration of the filter behind the transcoder: only public methods are reached without a token.

    A token is asked for by the route of the HTTP path, before the body is looked at; which method is called
    is decided by the transcoder. Should the two ever read a path differently, this refuses. It refuses as
    well what is said to be gRPC but is not: gRPC needs HTTP/2 and `te: trailers`.
    """
    paths = [{"url_path": {"path": {"exact": method.path}}} for method in methods if not method.public]
    verified = {
        "metadata_matcher": {
            "filter": "envoy.filters.http.jwt_authn",
            "path": [{"key": "token"}, {"key": "iss"}],
            "value": {"present_match": True},
        }
    }
    # What is not gRPC by now goes nowhere, and is told so.
    grpc = {"header": {"name": "content-type", "string_match": {"safe_regex": {"regex": GRPC}}}}
    secured = {"and_rules": {"rules": [grpc, {"or_rules": {"rules": paths}}]}}
    without_te = {"and_rules": {"rules": [grpc, {"header": {"name": "te", "present_match": False}}]}}
    policies = {
        "token": {
            "permissions": [secured],
            "principals": [{"not_id": {"sourced_metadata": verified}}],
        },
        # A service would end the stream, which looks as if it did not answer.
        "te": {"permissions": [without_te], "principals": [{"any": True}]},
    }
    return {"@type": _RBAC, "rules": {"action": "DENY", "policies": policies}}


def _provider(settings: EdgeSettings, cache_s: int) -> Json:
    return {
        "issuer": settings.issuer,
        "audiences": list(settings.audiences),
        "forward": True,
        "require_expiration": True,
        "clock_skew_seconds": _CLOCK_SKEW_S,
        # Named, because the default reads a query parameter too, and queries end up in logs.
        "from_headers": [{"name": "authorization", "value_prefix": "Bearer "}],
        "payload_in_metadata": "token",
        "jwt_cache_config": {"jwt_cache_size": 1000},
        "remote_jwks": {
            "http_uri": {"uri": "http://edge/.well-known/jwks.json", "cluster": "own_keys", "timeout": "1s"},
            "cache_duration": f"{cache_s}s",
            # Not waited for: the listener of the keys opens together with the public one.
            "async_fetch": {"fast_listener": True, "failed_refetch_duration": "0.2s"},
            "retry_policy": {
                "num_retries": 2,
                "retry_back_off": {"base_interval": "0.05s", "max_interval": "0.2s"},
            },
        },
    }


def _any(requirements: list[Json]) -> Json:
    return {"requires_any": {"requirements": requirements}}
