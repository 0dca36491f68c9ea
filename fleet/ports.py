"""Busy ports, found before anything is started."""

import socket
from collections.abc import Iterable, Mapping

import psutil

from fleet.component import Component
from fleet.errors import FleetError
from fleet.settings import LOOPBACK, FleetSettings


def require_free_ports(components: Iterable[Component], settings: FleetSettings) -> None:
    """Check every port that the components will listen on.

    Raises:
        FleetError: one is taken; names the port, its holder when that can be seen, and what to change.
    """
    wanted: dict[int, str] = {}
    for component in components:
        wanted.update(component.ports)
    busy = {port: purpose for port, purpose in wanted.items() if not _is_free(port)}
    if busy:
        raise FleetError(_sentence(busy, settings))


def _is_free(port: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
        # As servers do it: a port in TIME_WAIT is free, one that is listened on is not.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
            listener.listen(1)
        except OSError:
            return False
    return True


def _sentence(busy: Mapping[int, str], settings: FleetSettings) -> str:
    port, purpose = next(iter(busy.items()))
    others = f" (and {len(busy) - 1} more)" if len(busy) > 1 else ""
    why = (
        "" if port == settings.edge_port else f", a port that follows from the edge port {settings.edge_port}"
    )
    return (
        f"Port {port} for {purpose}{others} is already in use{_holder(port)}{why}: stop that program, or set "
        f"GREENLEDGER_EDGE_PORT (or --edge-port) to another port, such as {settings.edge_port + 100}."
    )


def _holder(port: int) -> str:
    try:
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f" by {psutil.Process(connection.pid).name()} (pid {connection.pid})"
    except (psutil.Error, OSError):
        return ""
    return ""
