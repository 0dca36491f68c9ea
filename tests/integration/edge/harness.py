"""A running edge in front of services whose answers the tests choose."""

import asyncio
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx

from fleet.edge.render import render
from fleet.edge.settings import Address, EdgeSettings
from fleet.servers.envoy import find_envoy
from fleet.services import SERVICES
from fleet.settings import FleetSettings, Limit
from fleet.testing.ports import free_port
from tests.integration.edge.services import Services

LOOPBACK = "127.0.0.1"


class LoopThread:
    """An event loop of its own, so that the services answer while a test blocks."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True)
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        future: Future[Any] = asyncio.run_coroutine_threadsafe(coroutine, self.loop)
        return future.result(30)

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        self.loop.close()


@dataclass
class Edge:
    """What a test may do with a running edge."""

    settings: EdgeSettings
    services: Services
    auth: Services
    thread: LoopThread
    process: subprocess.Popen[bytes]
    log_path: Path
    http: httpx.Client = field(init=False)

    def __post_init__(self) -> None:
        self.http = httpx.Client(base_url=self.url, timeout=20)

    @property
    def url(self) -> str:
        return f"http://{LOOPBACK}:{self.settings.listen.port}"

    def bearer(self, token: str | None = None) -> dict[str, str]:
        """Headers with a token, by default one that is valid."""
        return {"authorization": f"Bearer {token or self.services.token}"}

    @property
    def target(self) -> str:
        return f"{LOOPBACK}:{self.settings.listen.port}"

    def log(self) -> str:
        return self.log_path.read_text()

    def counter(self, name: str) -> int:
        """One of Envoy's counters by its full name."""
        found = self.admin(f"/stats?filter=^{name}$").partition(": ")[2]
        return int(found or 0)

    def admin(self, path: str) -> str:
        return httpx.get(f"http://{LOOPBACK}:{self.settings.admin.port}{path}", timeout=5).text


def wait_until(predicate: Callable[[], Any], timeout_s: float = 15.0) -> Any:
    """Poll a plain predicate until it holds; connection errors mean "not yet"."""
    deadline = time.monotonic() + timeout_s
    while True:
        answer = None
        try:
            answer = predicate()
        except httpx.HTTPError as error:
            answer = None
            last: object = error
        else:
            if answer:
                return answer
            last = answer
        assert time.monotonic() < deadline, f"not within {timeout_s} s; last: {last!r}"
        time.sleep(0.02)


def edge_settings(services: Services, apart: Services, folder: Path, down: tuple[str, ...]) -> EdgeSettings:
    """`auth` at `apart`, what is down where nobody listens, everything else at `services`."""
    nobody = free_port()
    ports = {spec.name: services.port for spec in SERVICES}
    ports |= {"auth": apart.port} | dict.fromkeys(down, nobody)
    return EdgeSettings(
        listen=Address(LOOPBACK, free_port()),
        admin=Address(LOOPBACK, free_port()),
        services={name: (Address(LOOPBACK, port),) for name, port in ports.items()},
        output_dir=folder,
        # Tests of other things call as often as they like.
        anonymous_limit=Limit.parse("0"),
        authenticated_limit=Limit.parse("0"),
    )


@contextmanager
def envoy(configuration: Path, log_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Envoy with a configuration, until the block ends."""
    binary = find_envoy(FleetSettings(state_dir=log_path.parent))
    command = [str(binary), "-c", str(configuration), "--concurrency", "1", "--disable-hot-restart"]
    with log_path.open("wb") as log:
        process = subprocess.Popen(
            [*command, "--log-level", "warning", "--file-flush-interval-msec", "50"], stdout=log, stderr=log
        )
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def running_edge(
    folder: Path,
    *,
    down: tuple[str, ...] = (),
    rewrite: Callable[[str], str] = lambda configuration: configuration,
    **changes: Any,
) -> Iterator[Edge]:
    """Services and an edge before them.

    Args:
        rewrite: changes the configuration that was rendered.
        changes: fields of EdgeSettings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    thread = LoopThread()
    services = Services()
    auth = Services(services.keys, services.calls)
    try:
        thread.run(services.start())
        thread.run(auth.start())
        settings = replace(edge_settings(services, auth, folder, down), **changes)
        log_path = folder / "envoy.log"
        configuration = render(settings)
        configuration.write_text(rewrite(configuration.read_text()))
        with envoy(configuration, log_path) as process:
            edge = Edge(settings, services, auth, thread, process, log_path)
            try:
                wait_until(lambda: _ready(edge))
                yield edge
            finally:
                edge.http.close()
    finally:
        thread.run(services.stop())
        thread.run(auth.stop())
        thread.stop()


def _ready(edge: Edge) -> bool:
    assert edge.process.poll() is None, edge.log()
    if edge.admin("/ready").strip() != "LIVE" or not edge.http.get("/docs").is_success:
        return False
    without_auth = edge.settings.services["auth"][0].port != edge.auth.port
    return without_auth or edge.counter("http.edge.jwt_authn.jwks_fetch_success") >= 2
