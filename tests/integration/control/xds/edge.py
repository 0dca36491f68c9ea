"""A small Envoy that has nothing but a listener, and learns the rest by xDS."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import httpx

from chassis.testing import eventually
from fleet.edge import limits
from fleet.edge.render import fill
from fleet.edge.routes import retry_policy
from fleet.testing.ports import free_port
from services.control.adapters.xds.edge_table import EdgeTable
from tests.integration.control.xds.harness import LOOPBACK, SERVICE, Client
from tests.integration.edge.harness import envoy


def base_table(folder: Path, *, retried: bool = True) -> EdgeTable:
    """The edge's own table: all calls go to one service, and may be repeated or not."""
    route = {"cluster": SERVICE, "timeout": "0s", "retry_policy": retry_policy(repeatable=retried)}
    host = {
        "name": "edge",
        "domains": ["*"],
        "routes": [
            {"name": "elsewhere", "match": {"path": "/elsewhere"}, "direct_response": {"status": 404}},
            {"name": "all", "match": {"prefix": "/"}, "route": route},
        ],
    }
    path = folder / "routes.json"
    path.write_text(json.dumps({"name": "edge", "virtual_hosts": [host]}))
    return EdgeTable(path)


def bootstrap(port: int, admin: int, xds: tuple[str, ...], node: str) -> str:
    """Envoy's start, with these discovery servers."""
    servers = [
        {"endpoint": {"address": {"socket_address": {"address": host, "port_value": int(number)}}}}
        for host, number in (server.split(":") for server in xds)
    ]
    values = {
        "port": port,
        "admin": admin,
        "node": node,
        "servers": servers,
        "local_limit": limits.told_filter(),
    }
    return fill((Path(__file__).parent / "edge.yaml").read_text(), values)


@dataclass
class Proxy:
    """A running Envoy."""

    port: int
    admin_port: int
    client: Client

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.port}"

    async def admin(self, path: str) -> str:
        async with httpx.AsyncClient(timeout=5) as client:
            return (await client.get(f"http://{LOOPBACK}:{self.admin_port}{path}")).text

    async def has(self, name: str, value: int) -> bool:
        """Whether a counter has a value."""
        return await self.counter(name) == value

    async def counter(self, name: str) -> int:
        """One of its counters by its full name."""
        return int((await self.admin(f"/stats?filter=^{name}$")).partition(": ")[2] or 0)


@asynccontextmanager
async def proxy(folder: Path, *xds: str, node: str = "edge-1") -> AsyncIterator[Proxy]:
    """Envoy, as soon as it is live."""
    port, admin = free_port(), free_port()
    configuration = folder / f"{node}.yaml"
    configuration.write_text(bootstrap(port, admin, xds, node))
    log = folder / f"{node}.log"
    with envoy(configuration, log) as process:
        async with grpc.aio.insecure_channel(f"{LOOPBACK}:{port}") as channel:
            running = Proxy(port, admin, Client(channel))

            async def live() -> bool:
                assert process.poll() is None, log.read_text()
                return (await running.admin("/ready")).strip() == "LIVE"

            await eventually(live, 20, ignore=(httpx.HTTPError,))
            yield running
