"""Who has a certificate in a fleet, and how the fleet's own commands reach a service with theirs."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from chassis.members import EDGE, OPERATOR
from fleet.errors import FleetError
from fleet.services import CONTROL
from fleet.settings import LOOPBACK, FleetSettings

if TYPE_CHECKING:
    import grpc.aio


def members(services: Iterable[str], xds: Sequence[str] = ()) -> dict[str, tuple[str, ...]]:
    """Who gets a certificate, and the hosts it names besides the member.

    gRPC expects a control plane to be called as its bootstrap calls it, by its address; nobody else is asked
    for by address, so nobody else may have one in a certificate.

    Args:
        services: names of the services; the edge and the operator come with them.
        xds: `host:port` of the discovery of each replica of control; default none.
    """
    from chassis.discovery.bootstrap import names_together  # noqa: PLC0415 - brings gRPC with it

    control = (*names_together(tuple(xds)), LOOPBACK)
    return {name: control if name == CONTROL else () for name in (*services, EDGE, OPERATOR)}


@dataclass(frozen=True, slots=True)
class Peer:
    """A service that is reached by mutual TLS.

    Args:
        name: of the service, as its certificate must say.
        tls_dir: folder of the caller's own certificate.
    """

    name: str
    tls_dir: Path


def peer_of(settings: FleetSettings, service: str) -> Peer | None:
    """The service as the operator reaches it; None while connections are plain text."""
    tls_dir = settings.tls_dir(OPERATOR)
    return Peer(service, tls_dir) if tls_dir is not None else None


def channel_to(
    address: str, peer: Peer | None, options: Sequence[tuple[str, str | int]] = ()
) -> "grpc.aio.Channel":
    """A channel for a command or a check, which is over long before a certificate is.

    Args:
        address: `host:port`.
        peer: who must be there, by mutual TLS; None for plain text.
        options: channel arguments; default none.

    Raises:
        FleetError: the operator's certificate cannot be read.
    """
    import grpc.aio  # noqa: PLC0415  (slow to import; `--help` must not wait for it)

    from chassis.tls import TlsError, channel_credentials, target_options  # noqa: PLC0415  (the same)

    if peer is None:
        return grpc.aio.insecure_channel(address, options)
    try:
        credentials = channel_credentials(peer.tls_dir, xds=False)
    except TlsError as error:
        raise FleetError(f"The operator's certificate is not usable: {error}.") from error
    return grpc.aio.secure_channel(address, credentials, [*options, *target_options(peer.name)])
