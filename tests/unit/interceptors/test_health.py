"""The health servicer, through real gRPC."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from chassis.health import NOT_SERVING, OVERALL, SERVICE_UNKNOWN, SERVING, HealthServicer
from chassis.testing import eventually


@asynccontextmanager
async def serving(health: HealthServicer) -> AsyncIterator[tuple[Any, grpc.aio.Server]]:
    server = grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(health, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield health_pb2_grpc.HealthStub(channel), server
    await server.stop(None)


def ask(service: str = OVERALL) -> health_pb2.HealthCheckRequest:
    return health_pb2.HealthCheckRequest(service=service)


async def test_check_and_list_tell_what_was_set() -> None:
    health = HealthServicer()
    health.set("orders", SERVING)
    async with serving(health) as (stub, _):
        assert (await stub.Check(ask())).status == NOT_SERVING
        assert (await stub.Check(ask("orders"))).status == SERVING
        listed = await stub.List(health_pb2.HealthListRequest())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.Check(ask("nobody"))
    assert {name: entry.status for name, entry in listed.statuses.items()} == {
        "": NOT_SERVING,
        "orders": SERVING,
    }
    assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_when_one_watcher_leaves_the_others_still_learn_of_every_change() -> None:
    health = HealthServicer()
    async with serving(health) as (stub, _):
        calls = [stub.Watch(ask()) for _ in range(5)]
        for call in calls:
            assert (await call.read()).status == NOT_SERVING
        calls[0].cancel()
        calls[3].cancel()
        await eventually(lambda: len(health._watchers[OVERALL]) == 3)
        for status in (SERVING, NOT_SERVING, SERVING):
            health.set(OVERALL, status)
            async with asyncio.timeout(5):
                for n in (1, 2, 4):
                    assert (await calls[n].read()).status == status
        for n in (1, 2, 4):
            calls[n].cancel()
        await eventually(lambda: not health._watchers)


async def test_a_service_that_is_not_known_yet_is_watched_until_it_is() -> None:
    health = HealthServicer()
    async with serving(health) as (stub, _):
        call = stub.Watch(ask("later"))
        assert (await call.read()).status == SERVICE_UNKNOWN
        health.set("later", SERVING)
        assert (await call.read()).status == SERVING


async def test_ending_watches_tells_the_last_status_and_lets_the_server_stop_at_once() -> None:
    health = HealthServicer()
    async with serving(health) as (stub, server):
        calls = [stub.Watch(ask()) for _ in range(3)]
        for call in calls:
            await call.read()
        health.set_all(SERVING)
        health.end_watches()
        for call in calls:
            assert (await call.read()).status == SERVING
            assert await call.read() is grpc.aio.EOF
            assert await call.code() is grpc.StatusCode.OK
        late = stub.Watch(ask())
        assert (await late.read()).status == SERVING
        assert await late.read() is grpc.aio.EOF
        async with asyncio.timeout(5):
            await server.stop(60)
