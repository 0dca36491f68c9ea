"""How xDS clients, gRPC's own and Envoy, are told to prove themselves and whom to expect."""

from pathlib import Path
from typing import Any, Final

from chassis.tls.files import AUTHORITY, CERTIFICATE, KEY
from chassis.tls.identity import spiffe_id

Json = dict[str, Any]

PROVIDER: Final = "fleet"
"""Name of the certificate provider in a gRPC bootstrap, to which the clusters refer."""

_REFRESH = "1s"
_CONTEXT = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext"
_SECRET = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
_IDENTITY, _TRUST = "identity", "authority"


def certificate_provider(tls_dir: Path) -> Json:
    """`certificate_providers` of a gRPC bootstrap (gRFC A29): this folder, read anew every second."""
    return {PROVIDER: {"plugin_name": "file_watcher", "config": _files(tls_dir)}}


def control_credentials(tls_dir: Path) -> list[Json]:
    """`channel_creds` of a gRPC bootstrap for the connection to the control plane (gRFC A65)."""
    return [{"type": "tls", "config": _files(tls_dir)}]


def grpc_upstream(name: str) -> Json:
    """UpstreamTlsContext as proto JSON for gRPC clients: who is expected behind a cluster."""
    return {
        "common_tls_context": {
            "tls_certificate_provider_instance": {"instance_name": PROVIDER},
            "validation_context": {
                "ca_certificate_provider_instance": {"instance_name": PROVIDER},
                "match_subject_alt_names": [{"exact": spiffe_id(name)}],
            },
        }
    }


def envoy_upstream(tls_dir: Path, name: str) -> Json:
    """A cluster's `transport_socket` as proto JSON for Envoy: who is expected, and the secrets to use.

    Args:
        tls_dir: folder of Envoy's own identity, with the files of `envoy_secrets` in it.
        name: of the service behind the cluster.
    """
    expected = {"san_type": "URI", "matcher": {"exact": spiffe_id(name)}}
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": _CONTEXT,
            "common_tls_context": {
                # As a client, Envoy goes no further than 1.2 unless it is told to.
                "tls_params": {
                    "tls_minimum_protocol_version": "TLSv1_3",
                    "tls_maximum_protocol_version": "TLSv1_3",
                },
                "alpn_protocols": ["h2"],
                "tls_certificate_sds_secret_configs": [_secret(tls_dir, _IDENTITY)],
                "combined_validation_context": {
                    "default_validation_context": {"match_typed_subject_alt_names": [expected]},
                    "validation_context_sds_secret_config": _secret(tls_dir, _TRUST),
                },
            },
        },
    }


def envoy_secrets(tls_dir: Path) -> dict[str, Json]:
    """Files by which Envoy reads its secrets, file name -> content; they name the PEM files only.

    The folder is watched: when something is moved into it, certificate and key are read together.
    """
    watched = {"path": str(tls_dir)}
    identity = {
        "certificate_chain": {"filename": str(tls_dir / CERTIFICATE)},
        "private_key": {"filename": str(tls_dir / KEY)},
        "watched_directory": watched,
    }
    trust = {"trusted_ca": {"filename": str(tls_dir / AUTHORITY)}, "watched_directory": watched}
    return {
        _file(_IDENTITY): _resources({"name": _IDENTITY, "tls_certificate": identity}),
        _file(_TRUST): _resources({"name": _TRUST, "validation_context": trust}),
    }


def _files(tls_dir: Path) -> Json:
    return {
        "certificate_file": str(tls_dir / CERTIFICATE),
        "private_key_file": str(tls_dir / KEY),
        "ca_certificate_file": str(tls_dir / AUTHORITY),
        "refresh_interval": _REFRESH,
    }


def _secret(tls_dir: Path, name: str) -> Json:
    source = {"path": str(tls_dir / _file(name))}
    return {"name": name, "sds_config": {"path_config_source": source, "resource_api_version": "V3"}}


def _resources(secret: Json) -> Json:
    return {"resources": [{"@type": _SECRET, **secret}]}


def _file(name: str) -> str:
    return f"{name}.sds.json"
