"""The discovery service that `benchmarks.discovery` measures, in a process of its own.

    python -m benchmarks.discovery_control OLD NEW ROUTES

Commands come on standard input, the moment at which each was obeyed goes to standard output.
"""

import asyncio
import logging
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import structlog
import uvloop

from services.control.adapters.xds.edge_table import EdgeTable
from services.control.adapters.xds.envoy import EnvoyRenderer
from services.control.adapters.xds.grpc_clients import GrpcRenderer
from services.control.adapters.xds.server import XdsServer
from services.control.domain.instances import Instance
from services.control.domain.policy import EdgePolicy, RateLimit, TrafficPolicy, VersionWeight
from services.control.domain.view import FleetView

HOST = "127.0.0.1"
SERVICES = [f"service-{number}" for number in range(10)]
CALLED, OTHER = SERVICES[0], SERVICES[1]
INSTANCES = 10
NO_LIMIT = RateLimit(0, timedelta(minutes=1))
BORN = datetime(2026, 1, 1, tzinfo=UTC)
LEASE = timedelta(seconds=15)


class Fleet:
    """A view that commands change: "add", "remove" or "shift VERSION"."""

    def __init__(self, old: int, new: int) -> None:
        self._newer = asyncio.Event()
        self._extra = False
        self._version = "v1"
        self._called = (instance(CALLED, 0, old), instance(CALLED, 1, new, "v2"))
        self._view = self._next(0)

    def current(self) -> FleetView:
        """The view."""
        return self._view

    async def wait_newer(self, revision: int) -> FleetView:
        """The view after the next command."""
        while self._view.revision <= revision:
            self._newer.clear()
            await self._newer.wait()
        return self._view

    def obey(self, command: str) -> None:
        """Change the view."""
        verb, _, argument = command.partition(" ")
        self._extra = verb == "add" if verb != "shift" else self._extra
        self._version = argument or self._version
        self._view = self._next(self._view.revision)
        self._newer.set()

    def _next(self, revision: int) -> FleetView:
        instances = {name: tuple(instance(name, n, 9000 + n) for n in range(INSTANCES)) for name in SERVICES}
        instances[CALLED] = self._called
        if self._extra:
            instances[OTHER] += (instance(OTHER, INSTANCES, 9100),)
        policies = {name: TrafficPolicy(name) for name in SERVICES}
        policies[CALLED] = TrafficPolicy(CALLED, weights=(VersionWeight(self._version, 100),))
        return FleetView(revision + 1, instances, policies, EdgePolicy(NO_LIMIT, NO_LIMIT))


def instance(service: str, number: int, port: int, version: str = "v1") -> Instance:
    """An instance on this machine."""
    return Instance(f"{service}-{number}", service, version, HOST, port, LEASE, BORN, BORN, BORN)


async def serve(old: int, new: int, table: Path) -> None:
    """The discovery service: commands on standard input, the moment of each on standard output."""
    # Standard output is for answers.
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    fleet = Fleet(old, new)
    server = XdsServer(f"{HOST}:0", fleet, [GrpcRenderer(), EnvoyRenderer(EdgeTable(table))])
    running = asyncio.create_task(server.run())
    await server.started.wait()
    print(server.address, flush=True)
    while command := (await asyncio.to_thread(sys.stdin.readline)).strip():
        fleet.obey(command)
        print(time.monotonic(), flush=True)
    await server.stop()
    await running


if __name__ == "__main__":
    old_port, new_port, routes = sys.argv[1:]
    uvloop.run(serve(int(old_port), int(new_port), Path(routes)))
