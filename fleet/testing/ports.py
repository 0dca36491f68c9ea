"""Ports for the fleets of tests: several suites may run at the same time."""

import random
import socket
from collections.abc import Iterator

from fleet.settings import LOOPBACK

# Below the lowest internal port, so that no edge is found among the internal ports of another.
_EDGE_PORTS = range(10200, 20200, 80)
# The internal ports of an edge port begin this far above it.
_INTERNAL = 10000
# One port behind them is the claim. Of the ranges of further replicas too, it is one that nobody listens on.
_INTERNAL_PORTS = 65
# What further replicas listen on reaches over the ranges of the next edge ports.
_RANGES_WITH_REPLICAS = 3

# One socket for each range given out, bound for as long as this process lives: another process of the
# suite that looks at the same moment finds the range taken before the fleet listens on any of it.
_claims: list[socket.socket] = []


def free_edge_port(*, replicas: bool = False) -> int:
    """An edge port all of whose internal ports are free, and which no other test is given.

    Args:
        replicas: whether the ports of further replicas are wanted too; default no.
    """
    ranges = _RANGES_WITH_REPLICAS if replicas else 1
    starts = _EDGE_PORTS[: len(_EDGE_PORTS) - ranges + 1]
    for port in random.sample(starts, len(starts)):
        claims = _claimed([port + number * _EDGE_PORTS.step for number in range(ranges)])
        if claims:
            _claims.extend(claims)
            return port
    raise RuntimeError(f"none of {len(_EDGE_PORTS)} ranges of ports is free")


def free_port() -> int:
    """A port for a single server, which no other test is given, also of another process."""
    return next(_singles)


def _single_ports() -> Iterator[int]:
    while True:
        internal = free_edge_port() + _INTERNAL
        yield from range(internal, internal + _INTERNAL_PORTS)


_singles = _single_ports()


def _claimed(edge_ports: list[int]) -> list[socket.socket]:
    """A claim on the range of each edge port; none at all when one of them is not free."""
    claims: list[socket.socket] = []
    for port in edge_ports:
        claim = _bound(port + _INTERNAL + _INTERNAL_PORTS, reuse=False)
        claims += [claim] if claim else []
        internal = range(port + _INTERNAL, port + _INTERNAL + _INTERNAL_PORTS)
        if claim is None or not all(_free(candidate) for candidate in (port, *internal)):
            for taken in claims:
                taken.close()
            return []
    return claims


def _free(port: int) -> bool:
    listener = _bound(port, reuse=True)
    if listener is None:
        return False
    listener.close()
    return True


def _bound(port: int, *, reuse: bool) -> socket.socket | None:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, int(reuse))
    try:
        listener.bind((LOOPBACK, port))
    except OSError:
        listener.close()
        return None
    return listener
