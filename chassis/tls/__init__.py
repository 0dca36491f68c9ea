"""Mutual TLS from one folder: what a process proves itself with, and whom it believes.

The folder holds certificate.pem, key.pem and authority.pem; whoever renews them replaces all three at once.
Every reader here follows the change without a restart. A certificate names its owner twice: `DNS:<name>`,
which a client with a static address asks for, and `URI:spiffe://greenledger/<name>`, the network identity
that policies look at.
"""

from chassis.tls.credentials import (
    channel_credentials,
    server_credentials,
    target_options,
)
from chassis.tls.files import AUTHORITY, CERTIFICATE, KEY, Material, TlsError, read
from chassis.tls.identity import TRUST_DOMAIN, peer_identity, spiffe_id
from chassis.tls.renewed import RenewedChannel
from chassis.tls.xds import (
    PROVIDER,
    certificate_provider,
    control_credentials,
    envoy_secrets,
    envoy_upstream,
    grpc_upstream,
)

__all__ = [
    "AUTHORITY",
    "CERTIFICATE",
    "KEY",
    "PROVIDER",
    "TRUST_DOMAIN",
    "Material",
    "RenewedChannel",
    "TlsError",
    "certificate_provider",
    "channel_credentials",
    "control_credentials",
    "envoy_secrets",
    "envoy_upstream",
    "grpc_upstream",
    "peer_identity",
    "read",
    "server_credentials",
    "spiffe_id",
    "target_options",
]
