"""Verification of user tokens at the edge. Each service verifies again and decides what a token may do."""

from typing import Any

from fleet.edge.contract import Method
from fleet.edge.settings import EdgeSettings

Json = dict[str, Any]

_CONFIG = "type.googleapis.com/envoy.extensions.filters.http.jwt_authn.v3.JwtAuthentication"
_CLOCK_SKEW_S = 10


def jwt_authn(settings: EdgeSettings, methods: list[Method]) -> Json:
    """Configuration of the filter; it sees gRPC paths only, because the transcoder stands before it.

    Keys come from two copies of the same key set. The fresh one is read anew every few seconds, so that a
    new key counts at once; the lasting one keeps verifying while the auth service does not answer.
    """
    either = [{"provider_name": "fresh"}, {"provider_name": "lasting"}]
    optional = _any([*either, {"allow_missing": {}}])
    public = [{"match": {"path": method.path}, "requires": optional} for method in methods if method.public]
    rest = {"match": {"prefix": "/greenledger."}, "requires": _any(either)}
    return {
        "@type": _CONFIG,
        "providers": {
            "fresh": _provider(settings, settings.jwks_fresh_s),
            "lasting": _provider(settings, settings.jwks_lasting_s),
        },
        "rules": [*public, rest],
    }


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
