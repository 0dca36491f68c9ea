"""Every test starts its own real servers under a folder of its own."""

import itertools
import random
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.settings import FleetSettings

_EDGE_PORTS = itertools.count(random.randrange(10200, 21000, 100), 100)


def free_edge_port() -> int:
    """An edge port all of whose internal ports are free."""
    for port in _EDGE_PORTS:
        if port > 22000:
            break
        wanted = [port, *range(port + 10000, port + 10060)]
        if all(_free(candidate) for candidate in wanted):
            return port
    raise RuntimeError("no free range of ports")


def _free(port: int) -> bool:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


@pytest.fixture
def make_settings() -> Iterator[Callable[..., FleetSettings]]:
    """Makes settings with a state folder and ports that nobody else uses."""
    names = itertools.count(1)
    # Not under pytest's own folder, which is closed to the user that PostgreSQL runs as for root.
    folder = Path(tempfile.mkdtemp(prefix="greenledger-fleet-"))
    folder.chmod(0o755)

    def make(**changes: object) -> FleetSettings:
        state_dir = folder / f"state-{next(names)}"
        settings = FleetSettings(state_dir=state_dir, **{"edge_port": free_edge_port(), **changes})
        settings.make_folders()
        return settings

    yield make
    shutil.rmtree(folder)


@pytest.fixture
def settings(make_settings: Callable[..., FleetSettings]) -> FleetSettings:
    return make_settings()
