"""Control loses its database, or its life."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import grpc
import pytest
import pytest_asyncio

from chassis.testing.eventually import eventually
from chassis.testing.postgres import PostgresServer
from greenledger.control.v1 import config_pb2, control_pb2, traffic_pb2
from services.control.adapters.settings import ControlSettings
from tests.integration.control.conftest import Control, World
from tests.integration.control.test_traffic import CANARY, policy_of, shares_of, shift, two_versions


@pytest_asyncio.fixture
async def own_server() -> AsyncIterator[PostgresServer]:
    """A server that may be stopped."""
    server = PostgresServer()
    server.start()
    yield server
    server.stop()


async def test_without_its_database_it_goes_on_telling_and_changes_wait(own_server: PostgresServer):
    async with AsyncExitStack() as stack:
        world = World(await own_server.create_database("control"), stack)
        control = await world.control()
        backend = await world.backend()
        await two_versions(control)
        await control.register("orders", backend.port)
        await eventually(lambda: control.discover("orders"))
        await shift(control, *CANARY)
        own_server.halt()

        assert shares_of(await policy_of(control)) == CANARY
        await _still_registers_and_watches(control, world)
        for change in (
            shift(control, ("v1", 100)),
            control.config.SetConfig(
                config_pb2.SetConfigRequest(name="log.level", value="DEBUG"), metadata=control.operator
            ),
            control.traffic.ListTrafficPolicyVersions(
                traffic_pb2.ListTrafficPolicyVersionsRequest(service="crops"), metadata=control.operator
            ),
            control.traffic.ListEdgePolicyVersions(
                traffic_pb2.ListEdgePolicyVersionsRequest(), metadata=control.operator
            ),
        ):
            with pytest.raises(grpc.aio.AioRpcError) as error:
                await change
            assert error.value.code() == grpc.StatusCode.UNAVAILABLE
        assert shares_of(await policy_of(control)) == CANARY

        own_server.start()
        await eventually(lambda: _shifts(control, ("v1", 100)), 20, ignore=(grpc.aio.AioRpcError,))
        assert shares_of(await policy_of(control)) == (("v1", 100),)


async def test_a_replica_that_starts_again_knows_who_is_there(world: World):
    async with AsyncExitStack() as life:
        control = await world.control(stack=life)
        backends = [await world.backend() for _ in range(3)]
        for backend in backends:
            await control.register("orders", backend.port)
        await eventually(lambda: _count(control, 3))
        await eventually(lambda: _saved(control, 3))
    again = await world.control()
    assert len(await again.discover("orders")) == 3
    told = await again.registry.Heartbeat(
        control_pb2.HeartbeatRequest(instance_id=f"orders-{backends[0].port}"), metadata=again.operator
    )
    assert told.lease_expire_time.ToDatetime()


async def test_what_was_changed_while_a_replica_was_down_is_in_force_when_it_starts(world: World):
    async with AsyncExitStack() as life:
        one = await world.control(stack=life)
        two = await world.control()
        await two_versions(one)
        await two_versions(two)
    await shift(two, *CANARY)
    assert shares_of(await policy_of(await world.control())) == CANARY


async def test_a_file_of_its_own_is_written_for_the_time_when_the_database_is_away(world: World, tmp_path):
    path = tmp_path / "snapshot.json"
    control = await world.control(ControlSettings(snapshot=path, poll=timedelta(milliseconds=50)))
    await control.register("orders", 9)
    await eventually(lambda: path.exists() and "orders-9" in path.read_text())


async def _still_registers_and_watches(control: Control, world: World) -> None:
    watch = control.registry.WatchInstances(
        control_pb2.WatchInstancesRequest(services=["market"]), metadata=control.operator
    )
    assert (await watch.read()).WhichOneof("content") == "snapshot"
    backend = await world.backend()
    await control.register("market", backend.port)
    assert (await watch.read()).changed.instance_id == f"market-{backend.port}"
    await eventually(lambda: control.discover("market"))
    watch.cancel()


async def _shifts(control: Control, *shares: tuple[str, int]) -> bool:
    await shift(control, *shares)
    return True


async def _count(control: Control, count: int) -> bool:
    return len(await control.discover("orders")) == count


async def _saved(control: Control, count: int) -> bool:
    text = await control.under_test.runtime.database.fetchval("SELECT data FROM replica_memory")
    return bool(text) and str(text).count('"INSTANCE_HEALTH_PASSING"') >= 2 * count
