"""What a process of control that has just started tells: never less than a client has."""

import asyncio
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc.aio
import pytest

from chassis.testing import eventually
from fleet.testing.ports import free_port
from services.control.adapters.memory import SnapshotFile
from services.control.adapters.settings import ControlSettings
from services.control.adapters.xds import stubs
from services.control.adapters.xds.resources import CLUSTERS, ENDPOINTS, LISTENERS
from services.control.application.ports import Memory
from services.control.domain.registration import Announcement
from services.control.domain.registry import Registry
from services.control.domain.view import FleetView
from tests.integration.control.conftest import World
from tests.integration.control.test_process import process
from tests.integration.control.xds.edge import base_table, proxy
from tests.integration.control.xds.harness import LOOPBACK, SERVICE, Backend, MemoryViews, backends, serving
from tests.integration.control.xds.test_server import EVERY_TYPE, Watcher

NOWHERE = "redis://127.0.0.1:9/0"
ENVOY = "envoy"


class Returning(Watcher):
    """A client that had everything from another process."""

    def __init__(self, address: str, agent: str = "gRPC test") -> None:
        super().__init__(address, agent)
        self.sees: dict[str, list[Any]] = {}

    async def follow(self) -> None:
        """Ask for all, as one does who has lost its control; then read what is told, to the end."""
        whole = self._node.user_agent_name == ENVOY
        for url in EVERY_TYPE:
            self._names[url] = () if whole and url in (CLUSTERS, LISTENERS) else (SERVICE,)
            request = stubs.DiscoveryRequest(
                node=self._node, type_url=url, resource_names=self._names[url], version_info="before"
            )
            await self._stream.write(request)
        while True:
            response = await self.told()
            self.sees.setdefault(response.type_url, []).append(response)

    def endpoints(self) -> set[tuple[int, ...]]:
        """Ports of each assignment that was told."""
        told = set()
        for response in self.sees.get(ENDPOINTS, ()):
            for packed in response.resources:
                assignment = stubs.ClusterLoadAssignment.FromString(packed.value)
                found = [each for part in assignment.endpoints for each in part.lb_endpoints]
                told.add(tuple(sorted(each.endpoint.address.socket_address.port_value for each in found)))
        return told

    def clusters(self) -> list[int]:
        """How many clusters each response had."""
        return [len(response.resources) for response in self.sees.get(CLUSTERS, ())]


async def returning(stack: AsyncExitStack, address: str) -> list[Returning]:
    """One client of each kind, which reads until the end of the test."""
    clients = [Returning(address), Returning(address, ENVOY)]
    for client in clients:
        await stack.enter_async_context(client)
        reading = asyncio.create_task(client.follow())
        stack.callback(reading.cancel)
    return clients


def listening(snapshot: Path | None = None) -> ControlSettings:
    listen = f"{LOOPBACK}:{free_port()}"
    return ControlSettings(xds_listen=listen, snapshot=snapshot, poll=timedelta(milliseconds=50))


async def test_with_its_database_it_tells_who_was_there_before_anybody_has_said_so_again(
    world: World,
) -> None:
    async with AsyncExitStack() as life, AsyncExitStack() as stack:
        first = await world.control(listening(), stack=life, valkey_url=NOWHERE)
        for port in (9, 10):
            await first.register(SERVICE, port)
        rows = first.under_test.runtime.database
        await eventually(lambda: remembers(rows, f"{SERVICE}-10"))
        await life.aclose()
        settings = listening()
        await world.control(settings, valkey_url=NOWHERE)
        for client in await returning(stack, settings.xds_listen):
            await eventually(lambda client=client: client.endpoints() == {(9, 10)}, 20)


async def remembers(database: Any, instance: str) -> bool:
    return instance in str(await database.fetchval("SELECT data FROM replica_memory"))


async def test_with_its_snapshot_alone_it_tells_the_same(tmp_path: Path) -> None:
    now = datetime.now(UTC)
    registry = Registry()
    for port in (9, 10):
        told = Announcement(f"{SERVICE}-{port}", SERVICE, "v1", LOOPBACK, port)
        registry = registry.registered(told, now)
    path = tmp_path / "snapshot.json"
    await SnapshotFile(path).save(Memory(now, tuple(registry.instances.values()), registry.listed))
    listen = f"{LOOPBACK}:{free_port()}"
    given = {"SNAPSHOT": str(path), "XDS_LISTEN": listen, "VALKEY_URL": NOWHERE}
    environment = {f"GREENLEDGER_{name}": value for name, value in given.items()}
    async with process(tmp_path, **environment), AsyncExitStack() as stack:
        async with grpc.aio.insecure_channel(listen) as channel:
            await asyncio.wait_for(channel.channel_ready(), 60)
        for client in await returning(stack, listen):
            await eventually(lambda client=client: client.endpoints() == {(9, 10)}, 20)


async def test_without_any_memory_it_takes_nothing_away_before_one_lease_has_passed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    lease = timedelta(seconds=5)
    monkeypatch.setattr("services.control.application.fleet.DEFAULT_LEASE", lease)
    settings = listening()
    began = asyncio.get_running_loop().time()
    control = await world.control(settings, valkey_url=NOWHERE)
    async with AsyncExitStack() as stack:
        clients = await returning(stack, settings.xds_listen)
        await control.register(SERVICE, 9)
        # One that knows nothing yet is told what there is.
        async with Watcher(settings.xds_listen) as newcomer:
            await newcomer.ask(ENDPOINTS, SERVICE)
            assert len((await newcomer.told()).resources) == 1
        seen = [client.sees for client in clients]
        if asyncio.get_running_loop().time() < began + lease.total_seconds():
            assert seen == [{}, {}]
        await control.register(SERVICE, 10)
        for client in clients:
            await eventually(lambda client=client: client.endpoints() == {(9, 10)}, 20)
            assert set(client.clusters()) == {1}


async def test_a_real_edge_that_lost_its_control_keeps_all_that_a_cold_one_does_not_know(
    tmp_path: Path,
) -> None:
    views, port = MemoryViews(), free_port()
    table = base_table(tmp_path)
    async with backends(Backend("a"), Backend("b")) as (a, b), AsyncExitStack() as first:
        await views.show([a.registered, b.registered])
        server = await first.enter_async_context(serving(views, port, table))
        async with proxy(tmp_path, server.address) as edge:
            assert set(await edge.client.calls(10)) == {"a", "b"}
            await first.aclose()
            cold = MemoryViews(FleetView(1, complete=False))
            async with serving(cold, port, table):
                await eventually(lambda: edge.has("control_plane.connected_state", 1))
                await cold.show([b.registered])
                await asyncio.sleep(0.5)  # nothing is to happen, so there is nothing to wait for
                assert set(await edge.client.calls(20)) == {"a", "b"}
                assert await edge.has("cluster.orders.membership_total", 2)
                await cold.complete()
                await eventually(lambda: edge.has("cluster.orders.membership_total", 1))
                assert set(await edge.client.calls(20)) == {"b"}


async def test_a_client_without_a_past_is_told_at_once(tmp_path: Path) -> None:
    views = MemoryViews(FleetView(1, complete=False))
    async with backends(Backend("a")) as (a,), serving(views, table=base_table(tmp_path)) as server:
        await views.show([a.registered])
        async with proxy(tmp_path, server.address) as edge:
            assert set(await edge.client.calls(5)) == {"a"}
