"""Ports for the fleets of tests: several suites may run at the same time."""

import itertools
import random
import socket

from fleet.settings import LOOPBACK

_EDGE_PORTS = itertools.count(random.randrange(10200, 21000, 100), 100)
_LAST = 22000


def free_edge_port() -> int:
    """An edge port all of whose internal ports are free."""
    for port in _EDGE_PORTS:
        if port > _LAST:
            break
        if all(_free(candidate) for candidate in (port, *range(port + 10000, port + 10060))):
            return port
    raise RuntimeError("no free range of ports")


def _free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
