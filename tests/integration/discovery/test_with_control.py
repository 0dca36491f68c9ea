"""What a process does with control, against the real one."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis.channels import Channels
from chassis.clock import SystemClock
from chassis.discovery import Discovery, LiveConfiguration
from chassis.ids import SystemIds
from chassis.resilience import Callees
from chassis.runtime import Runtime
from chassis.service import Service
from chassis.settings import Settings
from chassis.telemetry.tracing import Tracing
from chassis.testing import PostgresServer, eventually
from chassis.testing.service import TokenSigner, serve
from greenledger.control.v1 import (
    config_pb2,
    config_pb2_grpc,
    control_pb2,
    control_pb2_grpc,
    traffic_pb2,
    traffic_pb2_grpc,
)
from interceptors.testing import SignedChain
from services.auth.domain.roles import ROLES, scopes_of
from services.control.adapters.settings import ControlSettings
from services.control.wiring import wire

pytestmark = pytest.mark.slow


def wired(runtime: Runtime) -> Service:
    return wire(runtime, ControlSettings(poll=timedelta(milliseconds=50)))


async def test_it_is_known_told_and_forgotten(postgres_server: PostgresServer) -> None:
    signer = TokenSigner()
    chain = SignedChain(signer, {"orders": scopes_of("orders")})
    operator = signer.user("olga", *ROLES["operator"].permissions)
    async with AsyncExitStack() as stack:
        dsn = await stack.enter_async_context(postgres_server.database("control"))
        control = await stack.enter_async_context(serve("control", wired, chain, dsn, signer))
        settings = Settings(
            "orders",
            "",
            "",
            "127.0.0.1:18026",
            Path(),
            peers={"catalog": "127.0.0.1:1"},
            instance_id="orders-1",
            control=(control.address,),
        )
        channels: Channels = chain.channels(settings, Tracing("orders"), SystemClock(), SystemIds())
        stack.push_async_callback(channels.close)
        callees: Callees = channels.callees
        configuration, levels = LiveConfiguration(), list[str]()
        configuration.on("log.level", str, levels.append, "INFO")
        channels.get("catalog")
        discovery = Discovery(settings, channels, configuration)
        for loop in discovery.loops:
            task = asyncio.create_task(loop.run())
            stack.push_async_callback(asyncio.wait, [task])
            stack.push_async_callback(loop.stop)

        registry: Any = control_pb2_grpc.RegistryServiceStub(control.channel)

        async def known() -> set[str]:
            listed = await registry.ListInstances(control_pb2.ListInstancesRequest(), metadata=operator)
            return {
                entry.instance_id
                for entry in listed.instances
                if entry.health != control_pb2.INSTANCE_HEALTH_DRAINING
            }

        await eventually(lambda: _is(known, {"orders-1"}))
        await registry.Register(
            control_pb2.RegisterRequest(
                instance=control_pb2.Instance(
                    instance_id="catalog-1", service="catalog", version="v1", address="127.0.0.1", port=18023
                )
            ),
            metadata=signer.service("catalog", *scopes_of("catalog")),
        )
        limits = traffic_pb2.TrafficPolicy(limits=traffic_pb2.Limits(max_requests=7))
        await traffic_pb2_grpc.TrafficServiceStub(control.channel).SetTrafficPolicy(
            traffic_pb2.SetTrafficPolicyRequest(service="catalog", policy=limits, why="test"),
            metadata=operator,
        )
        await eventually(lambda: callees.get("catalog").bulkhead.limit == 7)
        await config_pb2_grpc.ConfigServiceStub(control.channel).SetConfig(
            config_pb2.SetConfigRequest(name="orders~log.level", value="DEBUG", why="test"), metadata=operator
        )
        await eventually(lambda: levels == ["DEBUG"])
        await discovery.deregister()
        assert await known() == {"catalog-1"}


async def _is(found: Any, expected: set[str]) -> bool:
    return await found() == expected
