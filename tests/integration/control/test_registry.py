"""Instances come, are checked, and go, through the real chain and with real health checks."""

import asyncio
from datetime import timedelta

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from chassis.health import NOT_SERVING, SERVING
from chassis.testing.eventually import eventually
from greenledger.control.v1 import control_pb2 as pb
from interceptors.testing import reason
from services.auth.domain.roles import scopes_of
from services.control.application.watching import WatchTimes
from tests.integration.control.conftest import SIGNER, Control, World, registration


async def test_an_instance_is_listed_once_its_health_was_seen(control: Control, world: World):
    backend = await world.backend()
    told = await control.register("orders", backend.port, metadata={"zone": "a"}, dependencies=["crops"])
    assert told.heartbeat_interval.ToTimedelta() == timedelta(seconds=20)
    await eventually(lambda: control.discover("orders"))
    known = (await control.instances())[told.instance_id]
    assert known.health == pb.INSTANCE_HEALTH_PASSING
    assert (known.metadata["zone"], list(known.dependencies)) == ("a", ["crops"])
    assert known.lease_expire_time.ToDatetime() > known.register_time.ToDatetime()


async def test_one_that_says_not_serving_is_not_discovered_until_it_serves_again(
    control: Control, world: World
):
    backend = await world.backend()
    await control.register("orders", backend.port)
    await eventually(lambda: control.discover("orders"))
    backend.say(NOT_SERVING)
    await eventually(lambda: _nobody(control))
    (known,) = (await control.instances()).values()
    assert (known.health, known.health_detail) == (pb.INSTANCE_HEALTH_CRITICAL, "NOT_SERVING")
    backend.say(SERVING)
    await eventually(lambda: control.discover("orders"))


async def test_one_that_nobody_reaches_is_taken_out_after_its_time_and_may_come_back(
    control: Control, world: World
):
    check = pb.HealthCheck(critical_timeout=Duration(nanos=200_000_000))
    told = await control.register("orders", 9, health_check=check)
    await eventually(lambda: _gone(control, told.instance_id))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await _heartbeat(control, told.instance_id)
    assert (error.value.code(), reason(error.value)) == (grpc.StatusCode.NOT_FOUND, "INSTANCE_NOT_FOUND")
    backend = await world.backend()
    await control.register("orders", backend.port)
    await eventually(lambda: control.discover("orders"))


async def test_one_that_listens_and_says_nothing_is_critical_and_holds_up_no_other(
    control: Control, world: World
):
    silent = await asyncio.start_server(lambda _reader, _writer: None, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    told = await control.register("orders", port)
    backend = await world.backend()
    await control.register("orders", backend.port)
    await eventually(lambda: _is_critical(control, told.instance_id))
    # Its first check runs into its own time limit, later ones into that of the connection.
    detail = (await control.instances())[told.instance_id].health_detail
    assert detail.startswith(("DEADLINE_EXCEEDED", "UNAVAILABLE"))
    found = await eventually(lambda: control.discover("orders"))
    assert found == [f"orders-{backend.port}"]
    silent.close()


async def test_a_service_of_the_process_can_be_asked_for_by_name(control: Control, world: World):
    backend = await world.backend()
    check = pb.HealthCheck(service="greenledger.orders.v1.OrderService")
    told = await control.register("orders", backend.port, health_check=check)
    await eventually(lambda: _is_critical(control, told.instance_id))
    backend.health.set("greenledger.orders.v1.OrderService", SERVING)
    await eventually(lambda: control.discover("orders"))


async def test_a_lease_that_nobody_renews_ends(control: Control, world: World):
    backend = await world.backend()
    told = await control.register("orders", backend.port, lease_s=1)
    await eventually(lambda: control.discover("orders"))
    first = told.lease_expire_time.ToDatetime()
    assert (await _heartbeat(control, told.instance_id)).lease_expire_time.ToDatetime() > first
    await eventually(lambda: _gone(control, told.instance_id))


async def test_deregistered_it_is_not_discovered_any_more_and_stays_gone(control: Control, world: World):
    backend = await world.backend()
    told = await control.register("orders", backend.port)
    await eventually(lambda: control.discover("orders"))
    request = pb.DeregisterRequest(instance_id=told.instance_id)
    for _ in range(2):
        await control.registry.Deregister(request, metadata=_as("orders"))
        assert await control.discover("orders") == []
    assert (await control.instances())[told.instance_id].health == pb.INSTANCE_HEALTH_DRAINING
    await _heartbeat(control, told.instance_id)
    assert await control.discover("orders") == []
    await control.registry.Deregister(pb.DeregisterRequest(instance_id="nobody"), metadata=_as("orders"))


async def test_a_version_can_be_discovered_alone(control: Control, world: World):
    old, new = await world.backend(), await world.backend()
    await control.register("crops", old.port)
    await control.register("crops", new.port, version="v2")
    await eventually(lambda: _count(control, 2))
    assert await control.discover("crops", "v2") == [f"crops-{new.port}"]


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"address": "10.0.0.256"}, "instance.address"),
        ({"address": "0.0.0.0"}, "instance.address"),
        ({"address": "what is this"}, "instance.address"),
        ({"service": "edge"}, "instance.service"),
    ],
)
async def test_what_cannot_be_called_is_refused_with_the_field(control: Control, facts, field):
    request = registration("orders", 9)
    for name, value in facts.items():
        setattr(request.instance, name, value)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await control.registry.Register(request, metadata=control.operator)
    assert (error.value.code(), reason(error.value)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "REGISTRATION_INVALID",
    )
    assert field in str(error.value.trailing_metadata())
    assert await control.instances() == {}


async def test_a_host_name_becomes_its_address_and_an_unknown_one_is_refused(control: Control, world: World):
    backend = await world.backend()
    told = await control.register("orders", backend.port, address="localhost")
    assert (await control.instances())[told.instance_id].address == "127.0.0.1"
    await eventually(lambda: control.discover("orders"))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await control.register("orders", 9, address="nobody.invalid")
    assert reason(error.value) == "REGISTRATION_INVALID"


async def test_port_nought_is_refused(control: Control):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await control.register("orders", 0)
    assert reason(error.value) == "VALIDATION_FAILED"


async def test_an_id_at_another_address_is_refused_while_its_owner_lives(control: Control, world: World):
    backend = await world.backend()
    told = await control.register("orders", backend.port)
    await eventually(lambda: control.discover("orders"))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await control.register("orders", 9, instance_id=told.instance_id)
    assert (error.value.code(), reason(error.value)) == (grpc.StatusCode.ALREADY_EXISTS, "INSTANCE_TAKEN")
    assert (await control.instances())[told.instance_id].port == backend.port


async def test_a_service_registers_renews_and_removes_itself_only(control: Control, world: World):
    backend = await world.backend()
    told = await control.register("orders", backend.port)
    other = _as("crops")
    for call in (
        control.registry.Register(registration("orders", 10), metadata=other),
        control.registry.Register(registration("crops", 10, instance_id=told.instance_id), metadata=other),
        control.registry.Heartbeat(pb.HeartbeatRequest(instance_id=told.instance_id), metadata=other),
        control.registry.Deregister(pb.DeregisterRequest(instance_id=told.instance_id), metadata=other),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await call
        assert (error.value.code(), reason(error.value)) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "SERVICE_NOT_OWN",
        )
    assert list(await control.instances()) == [told.instance_id]


async def test_instances_are_listed_page_by_page(control: Control):
    for port in (11, 12, 13):
        await control.register("orders", port)
    await control.register("crops", 14)
    seen, token = [], ""
    while True:
        request = pb.ListInstancesRequest(service="orders", page_size=2, page_token=token)
        answer = await control.registry.ListInstances(request, metadata=control.operator)
        seen += [instance.port for instance in answer.instances]
        token = answer.next_page_token
        if not token:
            break
    assert seen == [11, 12, 13]


async def test_a_watch_tells_who_is_there_then_each_change(control: Control, world: World):
    backend = await world.backend()
    await control.register("orders", backend.port)
    await eventually(lambda: control.discover("orders"))
    await control.register("crops", 9)
    watch = control.registry.WatchInstances(
        pb.WatchInstancesRequest(services=["orders"]), metadata=control.operator
    )
    first = await watch.read()
    assert [i.instance_id for i in first.snapshot.instances] == [f"orders-{backend.port}"]
    second = await world.backend()
    await control.register("orders", second.port)
    changed = await watch.read()
    assert changed.changed.instance_id == f"orders-{second.port}"
    while changed.changed.health != pb.INSTANCE_HEALTH_PASSING:
        changed = await watch.read()
    request = pb.DeregisterRequest(instance_id=f"orders-{second.port}")
    await control.registry.Deregister(request, metadata=control.operator)
    assert (await watch.read()).changed.health == pb.INSTANCE_HEALTH_DRAINING
    watch.cancel()


async def test_a_watch_gives_signs_of_life_and_says_why_it_ends(world: World):
    times = WatchTimes(heartbeat=timedelta(milliseconds=30), longest=timedelta(milliseconds=200))
    control = await world.control(times=times)
    watch = control.registry.WatchInstances(pb.WatchInstancesRequest(), metadata=control.operator)
    told = [message.WhichOneof("content") async for message in watch]
    assert told[0] == "snapshot"
    assert set(told[1:-1]) == {"heartbeat"}
    assert told[-1] == "ended"


def _as(service: str):
    return SIGNER.service(service, *scopes_of(service))


async def _heartbeat(control: Control, instance_id: str) -> pb.Registration:
    return await control.registry.Heartbeat(
        pb.HeartbeatRequest(instance_id=instance_id), metadata=_as("orders")
    )


async def _gone(control: Control, instance_id: str) -> bool:
    return instance_id not in await control.instances()


async def _is_critical(control: Control, instance_id: str) -> bool:
    return (await control.instances())[instance_id].health == pb.INSTANCE_HEALTH_CRITICAL


async def _nobody(control: Control) -> bool:
    return await control.discover("orders") == []


async def _count(control: Control, count: int) -> bool:
    return len(await control.discover("crops")) == count
