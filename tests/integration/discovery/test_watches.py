"""Policies and settings that a process follows."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from chassis.channels import Channels
from chassis.discovery import Discovery, LiveConfiguration, Watch
from chassis.resilience import Callees
from chassis.settings import Settings
from chassis.testing import eventually
from greenledger.control.v1 import traffic_pb2, traffic_pb2_grpc
from tests.integration.discovery.control import Replica, channels_to, config, policies, replicas


def limited(most: int) -> Any:
    """A snapshot in which catalog may be called so often at once."""
    limits = traffic_pb2.Limits(max_requests=most)
    return policies(traffic_pb2.TrafficPolicy(service="catalog", limits=limits))


def settings_of(known: list[Replica]) -> Settings:
    return Settings(
        service="orders",
        database_url="",
        kafka_bootstrap="",
        listen="127.0.0.1:18026",
        secrets_dir=Path("/secrets"),
        instance_id="orders-1",
        control=tuple(replica.address for replica in known),
    )


class Process:
    """What a process has of control."""

    def __init__(self, known: list[Replica]) -> None:
        self.callees, self.configuration = Callees(), LiveConfiguration()
        self.channels: Channels = channels_to(known, callees=self.callees)
        self.channels.get("catalog")
        self.discovery = Discovery(settings_of(known), self.channels, self.configuration)

    @property
    def limit(self) -> int:
        """Of calls to catalog."""
        return self.callees.get("catalog").bulkhead.limit


@asynccontextmanager
async def connected(known: list[Replica]) -> AsyncIterator[Process]:
    process = Process(known)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(process.channels.close)
        for loop in process.discovery.loops:
            task = asyncio.create_task(loop.run())
            stack.push_async_callback(asyncio.wait, [task])
            stack.push_async_callback(loop.stop)
        yield process


async def test_policies_of_the_services_that_are_called_are_followed() -> None:
    async with replicas(1) as (one,), connected([one]) as process:
        assert process.limit == 1000
        await one.control.policies.tell(limited(7))
        await eventually(lambda: process.limit == 7)
        await one.control.policies.tell(limited(8))
        await eventually(lambda: process.limit == 8)
        asked = [request for request in one.control.asked if hasattr(request, "services")]
        assert list(asked[0].services) == ["catalog"]


async def test_while_no_replica_answers_the_last_policies_hold() -> None:
    async with replicas() as both, connected(both) as process:
        for replica in both:
            await replica.control.policies.tell(limited(7))
        await eventually(lambda: process.limit == 7)
        for replica in both:
            await replica.stop()
        for replica in both:
            replica.control.policies.message = limited(9)
        assert process.limit == 7
        await both[1].start()
        await eventually(lambda: process.limit == 9)


async def test_when_one_replica_stops_the_other_is_watched() -> None:
    async with replicas() as both, connected(both) as process:
        for replica in both:
            await replica.control.policies.tell(limited(7))
        await eventually(lambda: sum(replica.control.policies.watchers for replica in both) == 1)
        await eventually(lambda: process.limit == 7)
        watched, other = sorted(both, key=lambda replica: -replica.control.policies.watchers)
        await watched.stop()
        await other.control.policies.tell(limited(8))
        await eventually(lambda: process.limit == 8)


async def test_a_watch_that_is_ended_goes_on_elsewhere() -> None:
    async with replicas() as both, connected(both) as process:
        for replica in both:
            await replica.control.policies.tell(limited(7))
        await eventually(lambda: process.limit == 7)
        watched, other = sorted(both, key=lambda replica: -replica.control.policies.watchers)
        await watched.control.policies.tell(traffic_pb2.WatchTrafficPoliciesResponse(ended="restarting"))
        await eventually(lambda: other.control.policies.watchers == 1)


async def test_settings_are_followed() -> None:
    async with replicas(1) as (one,), connected([one]) as process:
        levels: list[str] = []
        process.configuration.on("log.level", str, levels.append, "INFO")
        await one.control.config.tell(config(log_level="DEBUG"))
        await eventually(lambda: levels == ["DEBUG"])
        asked = [request for request in one.control.asked if hasattr(request, "service")]
        assert asked[0].service == "orders"


async def test_a_snapshot_that_cannot_be_used_changes_nothing_and_the_watch_goes_on() -> None:
    seen: list[int] = []

    def apply(snapshot: Any) -> None:
        most = snapshot.policies[0].limits.max_requests
        if most == 13:
            raise ValueError("not that one")
        seen.append(most)

    async with replicas(1) as (one,):
        channels = channels_to([one])
        assert channels.control is not None
        stub: Any = traffic_pb2_grpc.TrafficServiceStub(channels.control.get(one.address))
        wanted = traffic_pb2.WatchTrafficPoliciesRequest(services=["catalog"])
        watch = Watch("policies", [(one.address, lambda: stub.WatchTrafficPolicies(wanted))], apply)
        task = asyncio.create_task(watch.run())
        for most in (1, 13, 2):
            await one.control.policies.tell(limited(most))
            await eventually(lambda most=most: most in seen or most == 13)
        assert seen == [1, 2]
        await watch.stop()
        await task
        await channels.close()


async def test_a_process_without_control_has_nothing_to_do_and_leaves_at_once() -> None:
    discovery = Discovery(settings_of([]), Channels({}), LiveConfiguration())
    assert list(discovery.loops) == []
    await discovery.deregister()
