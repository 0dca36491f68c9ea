"""How fast clients learn of changes by xDS, and what telling them costs the control plane.

100 instances of 10 services; 300 streams that watch all of them, a gRPC client and an Envoy that call one.
The discovery service runs in a process of its own, whose CPU time and memory are measured. A change is timed
from the moment the view has it until a watcher has read it, or until the first call is answered as it says.
"""

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import psutil
import uvloop
from grpc_health.v1 import health_pb2, health_pb2_grpc

from benchmarks.discovery_control import CALLED, HOST, SERVICES
from fleet.servers.envoy import find_envoy
from fleet.settings import FleetSettings
from services.control.adapters.xds import stubs
from services.control.adapters.xds.resources import CLUSTERS, ENDPOINTS, LISTENERS, ROUTES

TYPES = (LISTENERS, ROUTES, CLUSTERS, ENDPOINTS)


class Control:
    """The other end of `serve`."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process
        self.usage = psutil.Process(process.pid)
        self.address = self._line()

    async def tell(self, command: str) -> float:
        """Give a command; says when it was obeyed, in monotonic seconds."""
        assert self._process.stdin is not None
        self._process.stdin.write(command + "\n")
        self._process.stdin.flush()
        return float(await asyncio.to_thread(self._line))

    def cpu_s(self) -> float:
        """CPU seconds used so far."""
        times = self.usage.cpu_times()
        return float(times.user + times.system)

    def _line(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


class Backend:
    """Answers with its version."""

    def __init__(self, version: str) -> None:
        self._version = version

    async def start(self) -> int:
        """Listen; gives the port."""
        self.server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(self, self.server)
        port = self.server.add_insecure_port(f"{HOST}:0")
        await self.server.start()
        return int(port)

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
        """The method."""
        await context.send_initial_metadata((("version", self._version),))
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    Watch = List = Check


class Watcher:
    """A stream that watches everything."""

    def __init__(self, address: str) -> None:
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stream = stubs.AggregatedDiscoveryServiceStub(self._channel).StreamAggregatedResources()

    async def begin(self) -> None:
        """Ask, and read the first answers."""
        for url in TYPES:
            await self._stream.write(stubs.DiscoveryRequest(type_url=url, resource_names=SERVICES))
            await self.read()

    async def read(self) -> float:
        """Read one response and take it; when it was there, in monotonic seconds."""
        response = await self._stream.read()
        at = time.monotonic()
        answer = {"response_nonce": response.nonce, "version_info": response.version_info}
        request = stubs.DiscoveryRequest(type_url=response.type_url, resource_names=SERVICES, **answer)
        await self._stream.write(request)
        return at

    async def close(self) -> None:
        """End the stream."""
        self._stream.cancel()
        await self._channel.close()


async def until(channel: grpc.aio.Channel, version: str) -> float:
    """Call until a version answers; when it did, in monotonic seconds."""
    check = health_pb2_grpc.HealthStub(channel).Check
    while True:
        call = check(health_pb2.HealthCheckRequest(service="x"), timeout=10, wait_for_ready=True)
        await call
        if dict(await call.initial_metadata())["version"] == version:
            return time.monotonic()


async def shifts(control: Control, channel: grpc.aio.Channel, rounds: int) -> list[float]:
    """Seconds from a shift of weights until the other version answers."""
    await control.tell("shift v1")
    await until(channel, "v1")
    seconds = []
    for number in range(rounds):
        version = "v1" if number % 2 else "v2"
        begun = await control.tell(f"shift {version}")
        seconds.append(await until(channel, version) - begun)
    return seconds


@asynccontextmanager
async def envoy(folder: Path, address: str) -> AsyncIterator[grpc.aio.Channel]:
    """An Envoy that gets everything from the discovery service, and a channel to it."""
    port = free_port()
    program = str(find_envoy(FleetSettings(state_dir=folder)))
    (folder / "envoy.json").write_text(json.dumps(bootstrap(port, address)))
    command = [program, "-c", str(folder / "envoy.json"), "--concurrency", "1", "--disable-hot-restart"]
    with started([*command, "--log-level", "error"]) as process:
        try:
            async with grpc.aio.insecure_channel(f"{HOST}:{port}") as channel:
                yield channel
        finally:
            process.terminate()


def started(command: list[str], **options: Any) -> subprocess.Popen[Any]:
    """A process."""
    return subprocess.Popen(command, **options)


def free_port() -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def bootstrap(port: int, xds: str) -> dict[str, Any]:
    """Envoy's start."""
    extensions = "type.googleapis.com/envoy.extensions"
    ads = {"ads": {}, "resource_api_version": "V3"}
    router = {"@type": f"{extensions}.filters.http.router.v3.Router"}
    http2 = {
        "@type": f"{extensions}.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    manager = {
        "@type": f"{extensions}.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "edge",
        "rds": {"route_config_name": "edge", "config_source": ads},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    }
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": manager}]
    ads_config = {
        "api_type": "GRPC",
        "transport_api_version": "V3",
        "grpc_services": [{"envoy_grpc": {"cluster_name": "xds"}}],
    }
    cluster = {
        "name": "xds",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2},
        "load_assignment": {
            "cluster_name": "xds",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address(*xds.split(":"))}}]}],
        },
    }
    listener = {"name": "edge", "address": address(HOST, port), "filter_chains": [{"filters": filters}]}
    return {
        "node": {"id": "edge-1", "cluster": "edge"},
        "dynamic_resources": {"cds_config": ads, "ads_config": ads_config},
        "static_resources": {"listeners": [listener], "clusters": [cluster]},
    }


def address(host: str, port: str | int) -> dict[str, Any]:
    """An address as Envoy writes it."""
    return {"socket_address": {"address": host, "port_value": int(port)}}


def shown(name: str, seconds: list[float]) -> str:
    """A line of figures."""
    cuts = statistics.quantiles(seconds, n=100)
    return f"{name:44} p50 {cuts[49] * 1000:7.1f} ms   p99 {cuts[98] * 1000:7.1f} ms   ({len(seconds)})"


async def watched(control: Control, watchers: list[Watcher], rounds: int) -> list[float]:
    """Seconds from an added or removed instance until each watcher has read of it."""
    seconds = []
    for number in range(rounds):
        reading = [asyncio.create_task(watcher.read()) for watcher in watchers]
        begun = await control.tell("remove" if number % 2 else "add")
        seconds += [at - begun for at in await asyncio.gather(*reading)]
    return seconds


async def measure(control: Control, folder: Path, arguments: argparse.Namespace) -> None:
    """All figures, printed."""
    bare = control.usage.memory_info().rss
    features = ["xds_v3", "ignore_resource_deletion"]
    server = {
        "server_uri": control.address,
        "channel_creds": [{"type": "insecure"}],
        "server_features": features,
    }
    named = {"xds_servers": [server], "node": {"id": "caller"}}
    os.environ["GRPC_XDS_BOOTSTRAP_CONFIG"] = json.dumps(named)
    async with AsyncExitStack() as stack:
        client = await stack.enter_async_context(grpc.aio.insecure_channel(f"xds:///{CALLED}"))
        edge = await stack.enter_async_context(envoy(folder, control.address))
        print(shown("shift -> answered to a gRPC client", await shifts(control, client, arguments.rounds)))
        print(shown("shift -> answered through Envoy", await shifts(control, edge, arguments.rounds)))
        watchers = [Watcher(control.address) for _ in range(arguments.watchers)]
        for watcher in watchers:
            stack.push_async_callback(watcher.close)
            await watcher.begin()
        name = f"instance added or removed -> {len(watchers)} watchers"
        before, rounds = control.cpu_s(), arguments.rounds
        print(shown(name, await watched(control, watchers, rounds)))
        print(f"control: CPU of one such change {(control.cpu_s() - before) / rounds * 1000:.0f} ms")
        memory = control.usage.memory_info().rss
        print(
            f"control: memory {memory / 1e6:.0f} MB, of which {(memory - bare) / 1e6:.0f} MB for its clients"
        )
        before, begun = control.cpu_s(), time.monotonic()
        await asyncio.sleep(arguments.idle_s)
        share = (control.cpu_s() - before) / (time.monotonic() - begun)
        print(f"control: CPU while nothing changes {share * 100:.1f} %")


async def main(arguments: argparse.Namespace) -> None:
    """Start everything and measure."""
    old, new = Backend("v1"), Backend("v2")
    ports = [str(await each.start()) for each in (old, new)]
    with tempfile.TemporaryDirectory() as name:
        table = Path(name) / "routes.json"
        routes = [{"match": {"prefix": "/"}, "route": {"cluster": CALLED}}]
        host = {"name": "edge", "domains": ["*"], "routes": routes}
        table.write_text(json.dumps({"name": "edge", "virtual_hosts": [host]}))
        command = [sys.executable, "-m", "benchmarks.discovery_control", *ports, str(table)]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        with started(command, **pipes) as process:
            control = Control(process)
            await measure(control, Path(name), arguments)
            assert process.stdin is not None
            process.stdin.close()
    await asyncio.gather(old.server.stop(0), new.server.stop(0))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--watchers", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=100, help="changes of each kind")
    parser.add_argument("--idle-s", type=float, default=5.0, help="seconds of rest that are measured")
    uvloop.run(main(parser.parse_args()))
