"""From an instance's registration to a client's call: control as it is wired, and real gRPC clients."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

import pytest

from chassis.testing.eventually import eventually
from fleet.testing.ports import free_port
from greenledger.control.v1 import control_pb2
from services.control.adapters.settings import ControlSettings
from tests.integration.control.conftest import Control, World
from tests.integration.control.test_traffic import shift
from tests.integration.control.xds.harness import SERVICE, Backend, answering, backends, grpc_client

NOWHERE = "redis://127.0.0.1:9/0"


def listening(snapshot: Path | None = None, port: int | None = None) -> ControlSettings:
    listen = f"127.0.0.1:{port or free_port()}"
    return ControlSettings(xds_listen=listen, snapshot=snapshot, poll=timedelta(milliseconds=100))


async def replica(world: World, settings: ControlSettings, stack: AsyncExitStack | None = None) -> Control:
    return await world.control(settings, stack=stack, valkey_url=NOWHERE)


async def join(backend: Backend, *replicas: Control) -> None:
    for control in replicas:
        await control.register(SERVICE, backend.port, instance_id=backend.name, version=backend.version)


async def leave(backend: Backend, *replicas: Control) -> None:
    request = control_pb2.DeregisterRequest(instance_id=backend.name)
    for control in replicas:
        await control.registry.Deregister(request, metadata=control.operator)


async def test_a_client_calls_who_is_registered_and_nobody_who_has_left(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    settings = listening()
    control = await replica(world, settings)
    async with backends(Backend("a"), Backend("b")) as (a, b):
        await join(a, control)
        async with grpc_client(monkeypatch, settings.xds_listen) as client:
            await answering(client, {"a"})
            await join(b, control)
            await answering(client, {"a", "b"})
            await leave(a, control)
            await answering(client, {"b"})
            # The last one may say goodbye: it is told as long as there is no other.
            await leave(b, control)
            assert set(await client.calls(10)) == {"b"}


async def test_a_shift_at_one_replica_reaches_the_clients_of_the_other(
    world: World, monkeypatch: pytest.MonkeyPatch
):
    one, other = listening(), listening()
    first, second = await replica(world, one), await replica(world, other)
    async with backends(Backend("a"), Backend("c", "v2")) as (a, c):
        for backend in (a, c):
            await join(backend, first, second)
        async with grpc_client(monkeypatch, other.xds_listen) as client:
            await answering(client, {"a", "c"})
            await shift(first, ("v1", 100), ("v2", 0), service=SERVICE)
            await answering(client, {"a"})
            await shift(first, ("v1", 0), ("v2", 100), service=SERVICE)
            await answering(client, {"c"})


async def test_no_call_fails_while_control_is_dead_nor_when_it_starts_cold(
    world: World, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
):
    settings = listening(tmp_path / "snapshot.json")
    async with backends(Backend("a"), Backend("b")) as (a, b), AsyncExitStack() as life:
        control = await replica(world, settings, life)
        await join(a, control)
        await join(b, control)
        async with grpc_client(monkeypatch, settings.xds_listen) as client:
            await answering(client, {"a", "b"})
            await eventually(lambda: _saved(settings.snapshot))
            over = asyncio.Event()
            load = asyncio.create_task(client.load(over))
            await life.aclose()
            assert set(await client.calls(20)) == {"a", "b"}
            again = await replica(world, settings)
            # Nobody has registered with it yet, and nobody is missing.
            assert set(await again.instances()) == {"a", "b"}
            async with grpc_client(monkeypatch, settings.xds_listen) as newcomer:
                await answering(newcomer, {"a", "b"})
            await leave(a, again)
            await answering(client, {"b"})
            over.set()
            assert await load > 0


def _saved(path: Path | None) -> bool:
    return path is not None and path.exists() and path.read_text().count('"INSTANCE_HEALTH_PASSING"') == 4
