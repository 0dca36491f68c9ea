"""Clusters rendered from the services' addresses."""

import ipaddress
import tempfile
from pathlib import Path
from typing import Any

from chassis.tls import envoy_secrets, envoy_upstream
from fleet.edge.limits import CONTROL_CLUSTER
from fleet.edge.settings import Address, EdgeSettings
from fleet.services import CONTROL

Json = dict[str, Any]

# Room for a path in sockaddr_un, which differs between systems; the smallest.
_SOCKET_PATH_BYTES = 100
_HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"


def clusters(settings: EdgeSettings) -> list[Json]:
    """One for the edge's own listener of keys, one for control's discovery, one for traces.

    Without control also one for each bounded context; otherwise they come from there.
    """
    rendered = [_own_keys(settings), {**_control(settings.xds), **transport(settings, CONTROL)}]
    if not settings.xds:
        rendered += [
            {**_service(name, addresses), **transport(settings, name)}
            for name, addresses in sorted(settings.services.items())
        ]
    if settings.otlp is not None:
        rendered.append(_cluster("otlp", (settings.otlp,)))
    return rendered


def _service(name: str, addresses: tuple[Address, ...]) -> Json:
    return {
        **_cluster(name, addresses),
        "circuit_breakers": {
            "thresholds": [
                {
                    "max_connections": 1024,
                    "max_pending_requests": 4096,
                    "max_requests": 4096,
                    # Retries may be a fifth of what is under way: a service that fails for all is left alone.
                    "retry_budget": {"budget_percent": {"value": 20}, "min_retry_concurrency": 10},
                }
            ]
        },
        "health_checks": [_health_check()],
        "ignore_health_on_host_removal": True,
    }


def transport(settings: EdgeSettings, name: str) -> Json:
    """What a cluster says of TLS to the service of this name; nothing while connections are plain text."""
    if settings.tls_dir is None:
        return {}
    return {"transport_socket": envoy_upstream(settings.tls_dir, name)}


def secrets(settings: EdgeSettings) -> dict[Path, Json]:
    """Files to which the clusters' TLS refers, which Envoy reads again when certificates are renewed."""
    if settings.tls_dir is None:
        return {}
    return {settings.tls_dir / name: text for name, text in envoy_secrets(settings.tls_dir).items()}


def keys_socket(settings: EdgeSettings) -> str:
    """Path of the socket on which the edge reads the key set from itself."""
    path = str(settings.output_dir / "keys.sock")
    if len(path.encode()) <= _SOCKET_PATH_BYTES:
        return path
    return str(Path(tempfile.gettempdir()) / f"greenledger-keys-{settings.listen.port}.sock")


def _own_keys(settings: EdgeSettings) -> Json:
    endpoint = {"endpoint": {"address": {"pipe": {"path": keys_socket(settings)}}}}
    return {
        "name": "own_keys",
        "connect_timeout": "1s",
        "load_assignment": {"cluster_name": "own_keys", "endpoints": [{"lb_endpoints": [endpoint]}]},
    }


def _control(addresses: tuple[Address, ...]) -> Json:
    # One that stands still without closing its connections is given up soon, for the other.
    return _cluster(CONTROL_CLUSTER, addresses, keepalive=("5s", "2s"))


def _cluster(name: str, addresses: tuple[Address, ...], keepalive: tuple[str, str] = ("30s", "5s")) -> Json:
    return {
        "name": name,
        "type": "STATIC" if all(_is_ip(address.host) for address in addresses) else "STRICT_DNS",
        "connect_timeout": "1s",
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [_endpoint(address) for address in addresses]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
                "@type": _HTTP_OPTIONS,
                "explicit_http_config": {
                    "http2_protocol_options": {
                        "connection_keepalive": {"interval": keepalive[0], "timeout": keepalive[1]}
                    }
                },
            }
        },
    }


def _health_check() -> Json:
    # Two silent checks in a row, so within 6 s, take an instance out and turn /healthz to 503.
    return {
        "timeout": "2s",
        "interval": "2s",
        "no_traffic_interval": "2s",
        "no_traffic_healthy_interval": "2s",
        "unhealthy_interval": "1s",
        "unhealthy_threshold": 2,
        "healthy_threshold": 1,
        "grpc_health_check": {},
    }


def _endpoint(address: Address) -> Json:
    return {
        "endpoint": {
            "address": {"socket_address": {"address": address.host, "port_value": address.port}},
        }
    }


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
