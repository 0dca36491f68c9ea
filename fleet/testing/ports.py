"""Ports for the fleets of tests: several suites may run at the same time."""

import random
import socket

from fleet.settings import LOOPBACK

# Below the lowest internal port, so that no edge is found among the internal ports of another.
_EDGE_PORTS = range(10200, 20200, 80)
# The internal ports of an edge port begin this far above it.
_INTERNAL = 10000
_INTERNAL_PORTS = 60

# One socket for each range given out, bound for as long as this process lives: another process of the
# suite that looks at the same moment finds the range taken before the fleet listens on any of it.
_claims: list[socket.socket] = []


def free_edge_port() -> int:
    """An edge port all of whose internal ports are free, and which no other test is given."""
    for port in random.sample(_EDGE_PORTS, len(_EDGE_PORTS)):
        claim = _bound(port + _INTERNAL + _INTERNAL_PORTS, reuse=False)
        if claim is None:
            continue
        if all(_free(candidate) for candidate in (port, *range(port + _INTERNAL, claim.getsockname()[1]))):
            _claims.append(claim)
            return port
        claim.close()
    raise RuntimeError(f"none of {len(_EDGE_PORTS)} ranges of ports is free")


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
