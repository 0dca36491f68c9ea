"""Clusters and endpoints as the edge gets them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from google.protobuf.message import Message

from chassis.tls import spiffe_id
from services.control.adapters.xds import shapes, stubs
from services.control.adapters.xds.grpc_clients import packed
from services.control.domain.policy import TrafficPolicy
from services.control.domain.view import FleetView

_LARGEST_RING = 8192
_DEFAULT_MAX_REQUESTS = 4096
_MAX_CONNECTIONS = 1024
_FEWEST_RETRIES = 3
_HTTP_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
# Names of what the edge shows and what it trusts; both come by the same stream as clusters do.
_OWN_CERTIFICATE = "identity"
_AUTHORITY = "authority"


def service_clusters(view: FleetView, service: str, tls: bool) -> Iterator[Message]:
    """The cluster of a service, one for each version that its policy names, and their endpoints."""
    policy = view.policy(service)
    if not (known := shapes.reachable(view.instances.get(service, ()))):
        return
    yield _cluster(service, policy, tls)
    yield shapes.endpoints(service, known)
    for version, cluster in shapes.versions_of(policy).items():
        yield _cluster(cluster, policy, tls)
        yield shapes.endpoints(cluster, shapes.reachable(view.of_version(service, version)))


def secrets(folder: Path) -> Iterator[Message]:
    """The edge's certificate and authority, by the names of files that it reads anew when the folder changes.

    Args:
        folder: as the edge sees it, with certificate.pem, key.pem and authority.pem.

    Source: Envoy's secret discovery; only certificates that come by it are watched.
    """
    watched = {"path": str(folder)}
    yield stubs.Secret(
        name=_OWN_CERTIFICATE,
        tls_certificate={
            "certificate_chain": {"filename": str(folder / "certificate.pem")},
            "private_key": {"filename": str(folder / "key.pem")},
            "watched_directory": watched,
        },
    )
    yield stubs.Secret(
        name=_AUTHORITY,
        validation_context={
            "trusted_ca": {"filename": str(folder / "authority.pem")},
            "watched_directory": watched,
        },
    )


def _cluster(name: str, policy: TrafficPolicy, tls: bool) -> Message:
    cluster: Message = stubs.Cluster(
        name=name,
        type="EDS",
        eds_cluster_config={"eds_config": shapes.ADS},
        connect_timeout={"seconds": 1},
        typed_extension_protocol_options={_HTTP_OPTIONS: packed(_http2())},
        circuit_breakers={"thresholds": [_limits(policy)]},
        outlier_detection=shapes.outlier(policy),
        health_checks=[_health_check()],
        # What left the registry is left at once, whatever its health.
        ignore_health_on_host_removal=True,
        **shapes.balancing(policy, policy.ring_size, _LARGEST_RING),
        **(_transport(policy.service) if tls else {}),
    )
    return cluster


def _limits(policy: TrafficPolicy) -> dict[str, Any]:
    return {
        "max_connections": {"value": _MAX_CONNECTIONS},
        "max_pending_requests": {"value": policy.max_requests or _DEFAULT_MAX_REQUESTS},
        "max_requests": {"value": policy.max_requests or _DEFAULT_MAX_REQUESTS},
        # A service that fails for all is left alone.
        "retry_budget": {
            "budget_percent": {"value": policy.retries.budget_percent},
            "min_retry_concurrency": {"value": _FEWEST_RETRIES},
        },
    }


def _health_check() -> dict[str, Any]:
    # Two silent checks in a row, so within 6 s, take an instance out.
    return {
        "timeout": {"seconds": 2},
        "interval": {"seconds": 2},
        "no_traffic_interval": {"seconds": 2},
        "no_traffic_healthy_interval": {"seconds": 2},
        "unhealthy_interval": {"seconds": 1},
        "unhealthy_threshold": {"value": 2},
        "healthy_threshold": {"value": 1},
        "grpc_health_check": {},
    }


def _http2() -> Message:
    options: Message = stubs.HttpProtocolOptions(
        explicit_http_config={
            "http2_protocol_options": {
                "connection_keepalive": {"interval": {"seconds": 30}, "timeout": {"seconds": 5}}
            }
        }
    )
    return options


def _transport(service: str) -> dict[str, Any]:
    identity = {"san_type": "URI", "matcher": {"exact": spiffe_id(service)}}
    context = stubs.UpstreamTlsContext(
        common_tls_context={
            # As a client, Envoy goes no further than 1.2 unless it is told to.
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
            },
            "tls_certificate_sds_secret_configs": [{"name": _OWN_CERTIFICATE, "sds_config": shapes.ADS}],
            "combined_validation_context": {
                "default_validation_context": {"match_typed_subject_alt_names": [identity]},
                "validation_context_sds_secret_config": {"name": _AUTHORITY, "sds_config": shapes.ADS},
            },
            "alpn_protocols": ["h2"],
        }
    )
    return {"transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": packed(context)}}
