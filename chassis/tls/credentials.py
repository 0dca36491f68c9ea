"""gRPC credentials from a TLS folder."""

from collections.abc import Callable
from pathlib import Path
from typing import cast

import grpc
import structlog

from chassis.tls.files import Material, TlsError, read, stamp

_log = structlog.get_logger(__name__)


def server_credentials(tls_dir: Path) -> grpc.ServerCredentials:
    """Credentials of a server that lets in holders of a certificate by our authority only.

    The files are looked at again at every handshake; ones that cannot be read leave the last in force.

    Raises:
        TlsError: there is nothing usable to begin with.
    """
    served = read(tls_dir)

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal served
        try:
            if stamp(tls_dir) == served.stamp:
                return None
            served = read(tls_dir)
        except TlsError as error:
            _log.warning("tls.not_renewed", error=str(error))
            return None
        return _configuration(served)

    # None means that nothing has changed, which the stubs do not know.
    fetch = cast("Callable[[], grpc.ServerCertificateConfiguration]", renewed)
    return grpc.dynamic_ssl_server_credentials(
        _configuration(served), fetch, require_client_authentication=True
    )


def channel_credentials(tls_dir: Path, xds: bool) -> grpc.ChannelCredentials:
    """Credentials of a channel to a peer, whose name the channel says: its target, or `target_options`.

    With a static address they are those of this moment, so use `RenewedChannel`. Over xDS the control plane
    says whom to expect, and gRPC's own file watcher renews; where it says nothing, the channel is still
    mutual TLS, to whoever proves to be the target's host.

    Args:
        tls_dir: folder of this process.
        xds: whether the target is xds:///<peer>.

    Raises:
        TlsError: the folder holds nothing usable.
    """
    own = read(tls_dir)
    static = grpc.ssl_channel_credentials(own.authority, own.key, own.certificate)
    return grpc.xds_channel_credentials(static) if xds else static


def target_options(peer: str) -> tuple[tuple[str, str], ...]:
    """Channel arguments for a static address: whose certificate is expected there."""
    return (("grpc.ssl_target_name_override", peer), ("grpc.default_authority", peer))


def _configuration(material: Material) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(material.key, material.certificate)], material.authority
    )
