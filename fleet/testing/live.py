"""A real fleet whose parts a test may kill one by one: servers and service processes, without the edge."""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import asyncpg
import grpc.aio

from chassis import crashpoints
from chassis.testing import eventually
from fleet.client import Credentials, RpcEdge, Session
from fleet.component import Component, RestartPolicy, Runner
from fleet.databases import prepare_databases
from fleet.health import NotServing, check_serving
from fleet.instances import Endpoints, Layout, further, lay_out, service_environment
from fleet.membership import Peer, members, peer_of
from fleet.process import Launch
from fleet.secrets import FleetSecrets, ensure_secrets
from fleet.servers.broker import Broker
from fleet.servers.envoy import Envoy, render_edge
from fleet.servers.mailbox import Mailbox
from fleet.servers.postgres import Postgres
from fleet.servers.valkey import Valkey
from fleet.services import CONTROL, MAIN_VERSION, SERVICES, select
from fleet.settings import FleetSettings, Limit, process_environment
from fleet.testing.ports import free_edge_port
from fleet.traffic_file import write_traffic_file
from fleet.trust import Authority, Renewal
from greenledger.auth.v1 import auth_pb2

START_S = 90.0
END_S = 60.0
QUICK = {
    "GREENLEDGER_ENV": "test",
    "GREENLEDGER_SAGA_LEASE_MS": "600",
    "GREENLEDGER_RECOVERY_INTERVAL_MS": "100",
    "GREENLEDGER_CONSUMER_SESSION_MS": "2000",
    "GREENLEDGER_DATABASE_POOL_SIZE": "4",
    # The cost of a password hash is not what these tests are about.
    "GREENLEDGER_ARGON2_MEMORY_KIB": "1024",
    "GREENLEDGER_ARGON2_TIME_COST": "1",
}
"""As in production, but shorter waits."""


@dataclass(slots=True)
class Process:
    """One life of a service."""

    name: str
    pid: int
    armed: bool
    ended: "asyncio.Future[int]" = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class ServiceSession(Session):
    """A service's own account; its token lasts longer than a test, so it is never renewed.

    Args:
        account: name of the service.
        token: as auth issued it.
    """

    def __init__(self, account: str, token: str) -> None:
        self.user_id = account
        self._token = token

    async def bearer(self) -> str:
        """The token."""
        return self._token


class LiveFleet:
    """Servers, databases and services of one fleet. Make one with `live_fleet`.

    Args:
        settings: ports and folders.
        extra: environment of every service, over what `service_environment` gives.
        control: whether two processes of control tell the others where they are; default no: one process of
            each service, found at its fixed address.
    """

    def __init__(
        self, settings: FleetSettings, extra: Mapping[str, str] = QUICK, *, control: bool = False
    ) -> None:
        self.settings = settings
        self._extra = dict(extra)
        self._secrets: FleetSecrets = ensure_secrets(settings.secrets_dir, [spec.name for spec in SERVICES])
        self._postgres = Postgres(settings, self._secrets.postgres_password)
        self._servers: dict[str, Runner] = {}
        self._instances = {entry.name: entry for entry in _layout(settings, control=control).instances}
        self._nursery: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._starting: asyncio.Queue[int] = asyncio.Queue()
        self._processes: dict[str, Process] = {}
        self._ended: dict[int, int] = {}
        self._edges: dict[tuple[str, int], RpcEdge] = {}
        self._one_start = asyncio.Lock()
        self._renewal: asyncio.Task[None] | None = None

    @property
    def operator(self) -> Credentials:
        """The fleet's operator."""
        return Credentials(self._secrets.operator_email, self._secrets.operator_password)

    @property
    def bootstrap(self) -> str:
        """Address of the broker."""
        return Broker(self.settings).bootstrap

    async def start(self, services: Iterable[str] = ()) -> None:
        """Start the servers, make the databases and start services; default all."""
        if self.settings.mtls:
            await self._trust()
        await asyncio.gather(self._start_servers(), self._start_nursery())
        await prepare_databases(self._postgres, SERVICES, self.settings.project_root)
        if self.layout.control:
            write_traffic_file(self.settings, self.layout)
            render_edge(self.settings, self.layout.xds)
        await asyncio.gather(*(self.start_service(name) for name in services or self._instances))

    @property
    def layout(self) -> Layout:
        """The processes that it has or may have."""
        return Layout(SERVICES, tuple(self._instances.values()))

    def add_replica(self, service: str, version: str = MAIN_VERSION) -> str:
        """Make room for one more process of a service; start it with `start_service`.

        Processes that run already are not told of a further one of control.

        Returns:
            Its name, such as "orders-2".
        """
        there = [entry for entry in self._instances.values() if entry.spec.name == service]
        extra = sum(entry.name != entry.spec.name for entry in self._instances.values())
        instance = further(there[0].spec, self.settings, len(there) + 1, extra, version)
        self._instances[instance.name] = instance
        return instance.name

    async def start_edge(self) -> str:
        """Start Envoy, steered by control where there is one; gives its URL."""
        envoy = Envoy(self.settings, partial(render_edge, xds=self.layout.xds))
        self._servers[envoy.name] = runner = Runner(envoy, policy=_OFTEN)
        await runner.start()
        running = {entry.address: entry.name for entry in self.layout.instances if self.running(entry.name)}
        await envoy.hear_of(running)
        return self.settings.edge_url

    async def stop(self) -> None:
        """End everything, killing what is left."""
        if self._renewal is not None:
            self._renewal.cancel()
        for edge in self._edges.values():
            await edge.channel.close()
        await asyncio.gather(*(self.kill(name) for name in list(self._processes)))
        if self._nursery is not None and self._nursery.stdin is not None:
            self._nursery.stdin.close()
            await self._nursery.wait()
        if self._reader is not None:
            await self._reader
        await asyncio.gather(*(runner.kill() for runner in self._servers.values()))

    async def start_service(self, name: str, crashpoint: str = "") -> None:
        """Start one process of a service and wait until it serves.

        Args:
            name: of the service, or of a further process such as "orders-2".
            crashpoint: as in `GREENLEDGER_CRASHPOINT`; default none.

        Raises:
            AssertionError: it runs already, or does not come up.
        """
        assert not self.running(name), f"{name} runs already"
        process = await self._fork(name, crashpoint)
        self._processes[name] = process

        async def serving() -> bool:
            if not process.ended.done():
                await check_serving(self.address(name), peer=self.peer(name))
            return True

        await eventually(serving, START_S, ignore=_NOT_YET)
        assert self.running(name), f"{name} ended with {process.ended}:\n{self.log(name)[-2000:]}"

    async def restart(self, name: str, crashpoint: str = "", how: signal.Signals = signal.SIGKILL) -> None:
        """End a service, unless it is dead already, and start it again; default without warning."""
        await self.end(name, how)
        await self.start_service(name, crashpoint)

    async def kill(self, name: str) -> None:
        """SIGKILL a service and wait for its end."""
        await self.end(name, signal.SIGKILL)

    async def end(self, name: str, how: signal.Signals) -> None:
        """Send a signal to a service and wait for its end, however long its drain takes."""
        if self.running(name):
            self.send(name, how)
            await self.died(name)

    def send(self, name: str, number: signal.Signals) -> None:
        """Send a signal to a service."""
        with suppress(ProcessLookupError):
            os.kill(self._processes[name].pid, number)

    async def died(self, name: str, timeout_s: float = END_S) -> int:
        """Wait for the end of a service; its exit code, negative for a signal."""
        async with asyncio.timeout(timeout_s):
            return await asyncio.shield(self._processes[name].ended)

    async def revive(self) -> list[str]:
        """Start every service that is dead or still armed anew; returns which were."""
        ill = [name for name in self._instances if not self.running(name) or self._processes[name].armed]
        await asyncio.gather(*(self.restart(name) for name in ill))
        return ill

    def running(self, name: str) -> bool:
        """Whether the service's process lives."""
        return name in self._processes and not self._processes[name].ended.done()

    def crash_server(self, name: str, how: signal.Signals) -> None:
        """Signal a server (`postgres`, `broker`, `mailbox`); its runner starts it again when it ends."""
        child = self._servers[name].child
        assert child is not None
        child.signal(how)

    def restarts(self, name: str) -> int:
        """How often a server was started again."""
        return self._servers[name].restarts

    def address(self, name: str) -> str:
        """host:port of a service."""
        return self._instances[name].address

    def peer(self, name: str) -> Peer | None:
        """A process as the operator reaches it; None while connections are plain text."""
        return peer_of(self.settings, self._instances[name].spec.name)

    def rpc(self, name: str) -> RpcEdge:
        """Stubs on a service's own port; a new channel for each of its lives, so that none backs off."""
        key = (name, self._processes[name].pid)
        if key not in self._edges:
            self._edges[key] = RpcEdge(self.address(name), timeout_s=25.0, peer=self.peer(name))
        return self._edges[key]

    async def token_of(self, account: str) -> ServiceSession:
        """A token of a service's own account."""
        auth = self.rpc("auth")
        request = auth_pb2.IssueServiceTokenRequest(
            account=account, secret=self._secrets.service_accounts[account]
        )
        issued = await auth.call(auth.auth.IssueServiceToken, request)
        return ServiceSession(account, issued.access_token)

    async def fetch(self, service: str, sql: str, *args: object) -> list[asyncpg.Record]:
        """Look into a service's database, as nobody else may."""
        connection = await asyncpg.connect(self._postgres.service_dsn(service))
        try:
            rows: list[asyncpg.Record] = await connection.fetch(sql, *args)
            return rows
        finally:
            await connection.close()

    async def fetchval(self, service: str, sql: str, *args: object) -> Any:
        """First column of the first row; None without one."""
        rows = await self.fetch(service, sql, *args)
        return rows[0][0] if rows else None

    def log(self, name: str) -> str:
        """What a part has written."""
        return self.settings.log_path(name).read_text()

    async def _trust(self) -> None:
        authority = Authority(self.settings.tls_root, leaf_life=self.settings.certificate_life)
        named = members((spec.name for spec in SERVICES), self.layout.xds)
        await asyncio.to_thread(authority.ensure, named)
        renewal = Renewal(authority, self.settings.certificate_life, lambda _: None)
        self._renewal = asyncio.create_task(renewal.run())

    async def _start_servers(self) -> None:
        components: list[Component] = [
            self._postgres,
            Broker(self.settings),
            Valkey(self.settings),
            Mailbox(self.settings),
        ]
        self._servers = {component.name: Runner(component, policy=_OFTEN) for component in components}
        await asyncio.gather(*(runner.start() for runner in self._servers.values()))

    async def _start_nursery(self) -> None:
        launch = Launch([sys.executable, "-m", "fleet.testing.nursery"], self.settings.log_path("nursery"))
        with launch.log_path.open("ab") as log:
            self._nursery = await asyncio.create_subprocess_exec(
                *launch.guarded_argv(os.getpid()),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=log,
                env=process_environment(self.settings),
                cwd=self.settings.project_root,
            )
        assert self._nursery.stdout is not None
        first = await asyncio.wait_for(self._nursery.stdout.readline(), START_S)
        assert first, f"the nursery did not start:\n{self.log('nursery')[-2000:]}"
        self._reader = asyncio.create_task(self._read())

    async def _read(self) -> None:
        assert self._nursery is not None
        assert self._nursery.stdout is not None
        async for line in self._nursery.stdout:
            message = json.loads(line)
            if "status" not in message:
                # The number may have been another's, whose end is of no concern to this one.
                self._ended.pop(message["pid"], None)
                self._starting.put_nowait(message["pid"])
                continue
            self._ended[message["pid"]] = message["status"]
            for process in self._processes.values():
                self._note_end(process)

    def _note_end(self, process: Process) -> None:
        if process.pid in self._ended and not process.ended.done():
            process.ended.set_result(self._ended[process.pid])

    async def _fork(self, name: str, crashpoint: str) -> Process:
        assert self._nursery is not None
        assert self._nursery.stdin is not None
        request = {
            "name": self._instances[name].spec.name,
            "environment": self._environment(name, crashpoint),
            "log": str(self.settings.log_path(name)),
        }
        async with self._one_start:
            self._nursery.stdin.write(json.dumps(request).encode() + b"\n")
            process = Process(name, await asyncio.wait_for(self._starting.get(), START_S), bool(crashpoint))
        self._note_end(process)
        return process

    def _environment(self, name: str, crashpoint: str) -> dict[str, str]:
        endpoints = Endpoints(
            database_urls={spec.name: self._postgres.service_dsn(spec.name) for spec in SERVICES},
            kafka_bootstrap=self.bootstrap,
            valkey_url=Valkey(self.settings).url,
            smtp_url=Mailbox(self.settings).url,
        )
        environment = service_environment(self._instances[name], self.layout, self.settings, endpoints)
        return {**environment, **self._extra, crashpoints.VARIABLE: crashpoint}


# Here a part that dies often is no sign of a defect.
_OFTEN = RestartPolicy(limit=1000, longest_delay_s=0.2)
_NOT_YET = (AssertionError, OSError, TimeoutError, NotServing, grpc.aio.AioRpcError)


@asynccontextmanager
async def live_fleet(
    extra: Mapping[str, str] = QUICK, *, control: bool = False, certificate_life: timedelta | None = None
) -> AsyncIterator[LiveFleet]:
    """A whole fleet without its edge, on free ports and a folder of its own, until the body ends.

    Args:
        extra, control: see LiveFleet.
        certificate_life: of each certificate of mutual TLS; default without it.
    """
    settings = _settings(replicas=control)
    if certificate_life is not None:
        settings = replace(settings, mtls=True, certificate_life=certificate_life)
    fleet = LiveFleet(settings, extra, control=control)
    async with AsyncExitStack() as stack:
        stack.callback(shutil.rmtree, settings.state_dir.parent, ignore_errors=True)
        stack.push_async_callback(fleet.stop)
        await fleet.start()
        yield fleet


def _layout(settings: FleetSettings, *, control: bool) -> Layout:
    """One process of each service, and two of control or none."""
    if not control:
        return lay_out(SERVICES, [spec for spec in SERVICES if spec.name != CONTROL], settings)
    layout = lay_out(SERVICES, SERVICES, replace(settings, replicas=1))
    (spec,) = select(SERVICES, [CONTROL])
    second = further(spec, settings, number=2, extra=0)
    return Layout(layout.specs, (*layout.instances, second))


def _settings(*, replicas: bool) -> FleetSettings:
    # Open to the user that PostgreSQL runs as when we are root.
    folder = Path(tempfile.mkdtemp(prefix="greenledger-live-"))
    folder.chmod(0o755)
    settings = FleetSettings(
        state_dir=folder / "state",
        edge_port=free_edge_port(replicas=replicas),
        environment="test",
        anonymous_limit=Limit.parse("0"),
        authenticated_limit=Limit.parse("0"),
    )
    settings.make_folders()
    return settings
