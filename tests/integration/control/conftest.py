"""Control on a real database, and instances that answer health checks."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import grpc.aio
import pytest_asyncio
from grpc_health.v1 import health_pb2_grpc

from chassis.health import OVERALL, SERVING, HealthServicer, Status
from chassis.runtime import Runtime
from chassis.service import Service
from chassis.testing import PostgresServer
from chassis.testing.service import ServiceUnderTest, TokenSigner, serve
from greenledger.control.v1 import config_pb2_grpc, control_pb2, control_pb2_grpc, traffic_pb2_grpc
from interceptors.testing import SignedChain
from services.auth.domain.roles import ROLES, scopes_of
from services.control.adapters.settings import ControlSettings
from services.control.application.watching import WatchTimes
from services.control.wiring import wire

QUICK = {"interval": "0.1s", "timeout": "0.5s", "critical_timeout": "60s"}
SIGNER = TokenSigner()


@dataclass
class Backend:
    """A gRPC server that says how it is, and nothing else."""

    port: int
    health: HealthServicer

    def say(self, status: Status) -> None:
        self.health.set(OVERALL, status)


@dataclass
class Control:
    """One replica, and how to call it."""

    under_test: ServiceUnderTest
    operator: Any = field(default_factory=lambda: SIGNER.user("olga", *ROLES["operator"].permissions))

    def __post_init__(self) -> None:
        channel = self.under_test.channel
        self.registry = control_pb2_grpc.RegistryServiceStub(channel)
        self.config = config_pb2_grpc.ConfigServiceStub(channel)
        self.traffic = traffic_pb2_grpc.TrafficServiceStub(channel)

    async def register(self, service: str, port: int, **facts: Any) -> control_pb2.Registration:
        """As an instance of the service would, which is checked ten times a second."""
        request = registration(service, port, **facts)
        return await self.registry.Register(request, metadata=SIGNER.service(service, *scopes_of(service)))

    async def discover(self, service: str, version: str = "") -> list[str]:
        """Ids of the healthy instances."""
        request = control_pb2.DiscoverRequest(service=service, version=version)
        answer = await self.registry.Discover(request, metadata=self.operator)
        return [instance.instance_id for instance in answer.instances]

    async def instances(self) -> dict[str, control_pb2.Instance]:
        """Everybody, by id."""
        request = control_pb2.ListInstancesRequest()
        answer = await self.registry.ListInstances(request, metadata=self.operator)
        return {instance.instance_id: instance for instance in answer.instances}


def registration(
    service: str, port: int, *, version: str = "v1", lease_s: int = 60, **facts: Any
) -> control_pb2.RegisterRequest:
    instance = control_pb2.Instance(
        **{"instance_id": f"{service}-{port}", "address": "127.0.0.1", **facts},
        service=service,
        version=version,
        port=port,
    )
    for name, text in QUICK.items():
        if not instance.health_check.HasField(name):  # type: ignore[arg-type]
            getattr(instance.health_check, name).FromJsonString(text)
    request = control_pb2.RegisterRequest(instance=instance)
    request.lease.FromTimedelta(timedelta(seconds=lease_s))
    return request


class World:
    """Starts replicas and backends, and stops them at the end of the test."""

    def __init__(self, dsn: str, stack: AsyncExitStack) -> None:
        self.dsn = dsn
        self._stack = stack

    async def control(
        self,
        settings: ControlSettings | None = None,
        times: WatchTimes | None = None,
        *,
        stack: AsyncExitStack | None = None,
        **given: Any,
    ) -> Control:
        """One more replica."""

        def wired(runtime: Runtime) -> Service:
            return wire(runtime, settings or ControlSettings(poll=timedelta(milliseconds=50)), times)

        chain = SignedChain(SIGNER)
        running = serve("control", wired, chain, self.dsn, SIGNER, **given)
        return Control(await (stack or self._stack).enter_async_context(running))

    async def backend(self) -> Backend:
        """Something to register."""
        server, health = grpc.aio.server(), HealthServicer()
        health_pb2_grpc.add_HealthServicer_to_server(health, server)
        port = server.add_insecure_port("127.0.0.1:0")
        health.set(OVERALL, SERVING)
        await server.start()
        self._stack.push_async_callback(server.stop, None)
        return Backend(port, health)


@pytest_asyncio.fixture
async def world(postgres_server: PostgresServer) -> AsyncIterator[World]:
    async with postgres_server.database("control") as dsn, AsyncExitStack() as stack:
        yield World(dsn, stack)


@pytest_asyncio.fixture
async def control(world: World) -> Control:
    return await world.control()
