"""Tells gRPC's cores where the control plane is: the xDS bootstrap of a process.

Source: gRFC A27 (xDS-based global load balancing), A71 (fallback to a further server), A29 (mutual TLS).
"""

import json
import os
import re
import zlib
from collections.abc import MutableMapping
from typing import Any

from chassis.settings import Settings
from chassis.tls import certificate_provider, control_credentials

_IPV4 = re.compile(r"\d{1,3}(\.\d{1,3}){3}:\d+", re.ASCII)
VARIABLE = "GRPC_XDS_BOOTSTRAP_CONFIG"


def bootstrap(settings: Settings) -> dict[str, Any]:
    """What gRPC reads, as parsed JSON.

    Every replica is named, so that another one is asked when the first does not answer. Which is the first
    differs from instance to instance, so that the replicas share the work.

    Args:
        settings: service, instance_id, version, xds, tls_dir.
    """
    tls_dir = settings.tls_dir
    credentials = [{"type": "insecure"}] if tls_dir is None else control_credentials(tls_dir)
    servers = [
        {
            "server_uri": address,
            "channel_creds": credentials,
            # Without the second, a service that control forgot would be one that exists no more.
            "server_features": ["xds_v3", "ignore_resource_deletion"],
        }
        for address in _servers(turned(settings.xds, settings.instance_id), secure=tls_dir is not None)
    ]
    config: dict[str, Any] = {
        "xds_servers": servers,
        "node": {
            "id": settings.instance_id,
            "cluster": settings.service,
            "metadata": {"version": settings.version},
        },
    }
    if tls_dir is not None:
        config["certificate_providers"] = certificate_provider(tls_dir)
    return config


def configure(settings: Settings, environ: MutableMapping[str, str] = os.environ) -> None:
    """Put the bootstrap where gRPC looks for it; nothing without `settings.xds`.

    Call it before the process makes its first channel by name: gRPC reads it once.
    """
    if settings.xds:
        environ[VARIABLE] = json.dumps(bootstrap(settings))


def names_together(replicas: tuple[str, ...]) -> tuple[str, ...]:
    """Names that the certificate of control must have, so that clients may call all replicas as one server.

    gRPC expects such a server's certificate to be for the whole text of its addresses, in the order of each
    client; of one address it expects that alone.
    """
    if len(replicas) < 2 or not _are_addresses(replicas):
        return ()
    return tuple(",".join((*replicas[first:], *replicas[:first])) for first in range(len(replicas)))


def _servers(replicas: tuple[str, ...], *, secure: bool) -> tuple[str, ...]:
    """All replicas as one server of many addresses, where gRPC can take them so.

    Of several servers gRPC asks the second only for what it does not know yet (gRFC A71): while the first is
    away it would hear of no change. One of many addresses must be of IPv4 addresses. Its certificate may lack
    `names_together`, so each replica alone comes after it.
    """
    if not replicas or not _are_addresses(replicas):
        return replicas
    together = f"ipv4:{','.join(replicas)}"
    return (together, *replicas) if secure and len(replicas) > 1 else (together,)


def _are_addresses(replicas: tuple[str, ...]) -> bool:
    return all(_IPV4.fullmatch(address) for address in replicas)


def turned(replicas: tuple[str, ...], instance_id: str) -> tuple[str, ...]:
    """The same replicas, beginning with another one for each instance."""
    if not replicas:
        return ()
    first = zlib.crc32(instance_id.encode()) % len(replicas)
    return (*replicas[first:], *replicas[:first])
