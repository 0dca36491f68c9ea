"""The order in which an instance leaves: nobody is refused who could not have known."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.discovery import Discovery, LiveConfiguration
from chassis.health import NOT_SERVING, OVERALL, SERVING, HealthServicer
from chassis.runtime import _Process, _Served
from chassis.testing import eventually
from interceptors.admission import Admission
from interceptors.process import CHAIN
from tests.integration.discovery.control import channels_to, replicas
from tests.integration.discovery.test_watches import settings_of


def unused(_runtime: Any) -> Any:
    raise AssertionError("nothing is wired here")


async def test_it_is_not_serving_then_out_of_the_registry_then_refuses_and_only_then_stops() -> None:
    async with replicas() as both:
        settings = replace(
            settings_of(both),
            drain_notice=timedelta(milliseconds=100),
            drain_timeout=timedelta(seconds=1),
        )
        channels = channels_to(both)
        discovery = Discovery(settings, channels, LiveConfiguration())
        registrar = discovery.loops[0]
        registering = asyncio.create_task(registrar.run())
        await eventually(lambda: all(replica.control.instances for replica in both))

        health, admission = HealthServicer(), Admission()
        health.set(OVERALL, SERVING)
        server = grpc.aio.server()
        health_pb2_grpc.add_HealthServicer_to_server(cast(Any, health), server)
        address = f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}"
        await server.start()
        seen: list[tuple[int, bool]] = []

        async def look() -> None:
            async with grpc.aio.insecure_channel(address) as channel:
                answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
            seen.append((answer.status, admission.draining))

        for replica in both:
            replica.control.on_deregister = look

        async def call_late() -> None:
            await eventually(lambda: admission.draining)
            await look()

        process = _Process(settings, unused, CHAIN, needs_database=False)
        late = asyncio.create_task(call_late())
        await process._drain(_Served(server, health, admission), discovery, discovery.loops)
        await late
        assert seen == [*[(NOT_SERVING, False)] * 2, (NOT_SERVING, True)], "it answers while it refuses, too"
        assert all(not replica.control.instances for replica in both)
        await registering
        await channels.close()
