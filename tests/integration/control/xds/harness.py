"""A discovery server, instances that say who they are, and clients of both kinds."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import grpc.experimental
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.service import Servicer
from chassis.testing import eventually
from fleet.testing.ports import free_port
from services.control.adapters.xds.edge_table import EdgeTable
from services.control.adapters.xds.envoy import EnvoyRenderer
from services.control.adapters.xds.grpc_clients import GrpcRenderer
from services.control.adapters.xds.server import XdsServer
from services.control.domain.instances import Instance
from services.control.domain.policy import EdgePolicy, RateLimit, TrafficPolicy
from services.control.domain.view import FleetView

LOOPBACK = "127.0.0.1"
BORN = datetime(2026, 1, 1, tzinfo=UTC)
SERVICE = "orders"
NO_LIMITS = EdgePolicy(RateLimit(0, timedelta(minutes=1)), RateLimit(0, timedelta(minutes=1)))


def instance(instance_id: str, port: int, version: str = "v1", service: str = SERVICE) -> Instance:
    """An instance on loopback."""
    return Instance(
        instance_id=instance_id,
        service=service,
        version=version,
        address=LOOPBACK,
        port=port,
        lease=timedelta(seconds=15),
        registered_at=BORN,
        lease_expires_at=BORN,
        health_changed_at=BORN,
    )


class MemoryViews:
    """A view that the test writes."""

    def __init__(self, view: FleetView | None = None) -> None:
        self._view = view or FleetView(0, edge=NO_LIMITS)
        self._newer = asyncio.Condition()

    def current(self) -> FleetView:
        return self._view

    async def wait_newer(self, revision: int) -> FleetView:
        async with self._newer:
            await self._newer.wait_for(lambda: self._view.revision > revision)
        return self._view

    async def show(
        self,
        instances: Sequence[Instance] | None = None,
        policies: Sequence[TrafficPolicy] | None = None,
        edge: EdgePolicy | None = None,
    ) -> None:
        """The next view; what is not given stays."""
        view = replace(self._view, revision=self._view.revision + 1)
        if instances is not None:
            by_service: dict[str, tuple[Instance, ...]] = {}
            for each in instances:
                by_service[each.service] = (*by_service.get(each.service, ()), each)
            view = replace(view, instances=by_service)
        if policies is not None:
            view = replace(view, policies={policy.service: policy for policy in policies})
        if edge is not None:
            view = replace(view, edge=edge)
        await self._tell(view)

    async def complete(self) -> None:
        """From now on, who is missing is gone."""
        await self._tell(replace(self._view, revision=self._view.revision + 1, complete=True))

    async def _tell(self, view: FleetView) -> None:
        async with self._newer:
            self._view = view
            self._newer.notify_all()


@asynccontextmanager
async def serving(
    views: MemoryViews,
    port: int = 0,
    table: EdgeTable | None = None,
    *,
    servicers: Sequence[Servicer] = (),
    tls_dir: Path | None = None,
    credentials: grpc.ServerCredentials | None = None,
    host: str = LOOPBACK,
) -> AsyncIterator[XdsServer]:
    """A discovery server until the block ends."""
    edge = EnvoyRenderer(table or EdgeTable(None), tls_dir=tls_dir)
    renderers = [GrpcRenderer(tls=tls_dir is not None), edge]
    listen = f"{host}:{port or free_port()}"
    server = XdsServer(listen, views, renderers, servicers=servicers, credentials=credentials)
    running = asyncio.create_task(server.run())
    started = asyncio.create_task(server.started.wait())
    try:
        await asyncio.wait({running, started}, return_when=asyncio.FIRST_COMPLETED)
        assert server.started.is_set(), running.exception()
        yield server
    finally:
        started.cancel()
        await server.stop()
        await running


@dataclass
class Backend:
    """An instance whose only method is a health check; it says who it is, and counts."""

    name: str
    version: str = "v1"
    port: int = field(default_factory=free_port)
    credentials: grpc.ServerCredentials | None = None
    calls: int = 0
    callers: set[str] = field(default_factory=set)
    fails: grpc.StatusCode | None = None
    frozen: bool = False
    takes_s: float = 0.0

    async def start(self) -> None:
        self._server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        health_pb2_grpc.add_HealthServicer_to_server(self, self._server)
        address = f"{LOOPBACK}:{self.port}"
        if self.credentials:
            self._server.add_secure_port(address, self.credentials)
        else:
            self._server.add_insecure_port(address)
        await self._server.start()

    async def stop(self, grace: float = 0) -> None:
        await self._server.stop(grace)

    async def Check(self, request: Any, context: Any) -> health_pb2.HealthCheckResponse:
        if self.frozen:
            await asyncio.sleep(60)  # until whoever asks gives up
        if request.service:  # those of Envoy's own checks name none
            self.calls += 1
            await asyncio.sleep(self.takes_s)
            names = context.auth_context().get("x509_subject_alternative_name", ())
            self.callers.update(name.decode() for name in names if name.startswith(b"spiffe"))
            if self.fails is not None:
                await context.abort(self.fails, "told to")
            await context.send_initial_metadata((("instance", self.name),))
        return health_pb2.HealthCheckResponse(status=health_pb2.HealthCheckResponse.SERVING)

    async def Watch(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    async def List(self, request: Any, context: Any) -> Any:
        raise NotImplementedError

    @property
    def registered(self) -> Instance:
        return instance(self.name, self.port, self.version)


@asynccontextmanager
async def backends(*named: Backend) -> AsyncIterator[tuple[Backend, ...]]:
    """Start instances; stop them at the end."""
    for each in named:
        await each.start()
    try:
        yield named
    finally:
        for each in named:
            await each.stop()


class Client:
    """Calls by a channel, and who answered them."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._check = health_pb2_grpc.HealthStub(channel).Check

    async def by_value(self, header: str, values: Sequence[str], *, at_once: int = 25) -> dict[str, str]:
        """Who answers calls with each value of a header."""
        found: dict[str, str] = {}
        for begin in range(0, len(values), at_once):
            part = values[begin : begin + at_once]
            answers = await asyncio.gather(*(self.call((header, value)) for value in part))
            found |= zip(part, answers, strict=True)
        return found

    async def load(self, over: asyncio.Event) -> int:
        """Call until it is over; a call that fails raises."""
        done = 0
        while not over.is_set():
            done += (await self.calls(20)).total()
        return done

    async def call(self, *metadata: tuple[str, str], timeout: float = 10) -> str:
        """The name of the instance that answered."""
        call = self._check(
            health_pb2.HealthCheckRequest(service="who"),
            metadata=metadata,
            timeout=timeout,
            wait_for_ready=True,
        )
        await call
        return str(dict(await call.initial_metadata())["instance"])

    async def calls(self, count: int, *metadata: tuple[str, str], at_once: int = 50) -> Counter[str]:
        """Who answered how often."""
        found: Counter[str] = Counter()
        for begin in range(0, count, at_once):
            size = min(at_once, count - begin)
            found.update(await asyncio.gather(*(self.call(*metadata) for _ in range(size))))
        return found


@asynccontextmanager
async def grpc_client(
    patch: pytest.MonkeyPatch, *servers: str, tls_dir: Path | None = None
) -> AsyncIterator[Client]:
    """A client of `xds:///<service>` whose bootstrap names these discovery servers."""
    bootstrap: dict[str, Any] = {
        "xds_servers": [
            {
                "server_uri": server,
                "channel_creds": [{"type": "insecure"}],
                "server_features": ["xds_v3", "ignore_resource_deletion"],
            }
            for server in servers
        ],
        "node": {"id": "caller-1", "cluster": "caller"},
        "certificate_providers": {"fleet": {"plugin_name": "file_watcher", "config": _files(tls_dir)}}
        if tls_dir
        else {},
    }
    patch.setenv("GRPC_XDS_BOOTSTRAP_CONFIG", json.dumps(bootstrap))
    options = [("grpc.enable_retries", 0), ("grpc.max_reconnect_backoff_ms", 1000)]
    credentials = grpc.experimental.insecure_channel_credentials()
    if tls_dir:
        credentials = grpc.xds_channel_credentials(credentials)
    async with grpc.aio.secure_channel(f"xds:///{SERVICE}", credentials, options) as channel:
        yield Client(channel)


def _files(folder: Path) -> dict[str, str]:
    return {
        "certificate_file": str(folder / "certificate.pem"),
        "private_key_file": str(folder / "key.pem"),
        "ca_certificate_file": str(folder / "authority.pem"),
        "refresh_interval": "1s",
    }


def two() -> tuple[Backend, ...]:
    """Two of one version."""
    return Backend("a"), Backend("b")


def three() -> tuple[Backend, ...]:
    """Two of one version, one of the next."""
    return Backend("a"), Backend("b"), Backend("c", "v2")


async def answering(client: Client, expected: set[str]) -> None:
    """Wait until these instances, all of them and no other, answer."""

    async def seen() -> bool:
        return set(await client.calls(4 * len(expected))) == expected

    await eventually(seen)
