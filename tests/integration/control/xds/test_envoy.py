"""A real Envoy that learns of instances and policies by xDS."""

import asyncio
import math
from datetime import timedelta
from pathlib import Path

import grpc

from chassis.testing import eventually
from services.control.domain.policy import (
    Balancing,
    HeaderRoute,
    Outlier,
    Retries,
    TrafficPolicy,
    VersionWeight,
)
from tests.integration.control.xds.edge import base_table, proxy
from tests.integration.control.xds.harness import (
    SERVICE,
    Backend,
    MemoryViews,
    answering,
    backends,
    serving,
    three,
    two,
)

# Where a slow machine is not what is tested.
PATIENT = Retries(per_try_timeout=timedelta(seconds=10))


async def test_instances_that_come_are_called_and_those_that_go_are_not(tmp_path: Path) -> None:
    views = MemoryViews()
    async with (
        backends(Backend("a"), Backend("b")) as (a, b),
        serving(views, table=base_table(tmp_path)) as server,
    ):
        await views.show([a.registered])
        async with proxy(tmp_path, server.address) as edge:
            assert set(await edge.client.calls(10)) == {"a"}
            await views.show([a.registered, b.registered])
            await answering(edge.client, {"a", "b"})
            await views.show([b.registered])
            await answering(edge.client, {"b"})
            assert await edge.counter("cluster_manager.cds.update_rejected") == 0


async def test_weights_shift_without_a_failed_call(tmp_path: Path) -> None:
    views = MemoryViews()

    def split(new: int) -> TrafficPolicy:
        return TrafficPolicy(SERVICE, weights=(VersionWeight("v1", 100 - new), VersionWeight("v2", new)))

    async with (
        backends(*three()) as (a, b, c),
        serving(views, table=base_table(tmp_path, retried=False)) as server,
    ):
        await views.show([a.registered, b.registered, c.registered])
        async with proxy(tmp_path, server.address) as edge:
            await answering(edge.client, {"a", "b", "c"})
            over = asyncio.Event()

            # Any call that fails raises here: clusters come before routes to them, and go after.
            loads = asyncio.create_task(edge.client.load(over))
            await views.show(policies=[split(0)])
            await answering(edge.client, {"a", "b"})
            await views.show(policies=[TrafficPolicy(SERVICE, weights=(VersionWeight("v2", 100),))])
            await answering(edge.client, {"c"})
            await views.show(policies=[TrafficPolicy(SERVICE)])
            await answering(edge.client, {"a", "b", "c"})
            await eventually(lambda: edge.counter("cluster_manager.cluster_removed"))
            over.set()
            assert await loads > 100
            await views.show(policies=[split(10)])
            await eventually(lambda: edge.counter("cluster.orders@v2.membership_healthy"))
            await eventually(lambda: edge.has("http.edge.rds.edge.update_success", 5))
            found = await edge.client.calls(10_000)
            assert abs(found["c"] - 1000) < 4.4 * math.sqrt(10_000 * 0.1 * 0.9)


async def test_a_header_decides_before_the_weights(tmp_path: Path) -> None:
    views = MemoryViews()
    policy = TrafficPolicy(
        SERVICE,
        weights=(VersionWeight("v1", 100), VersionWeight("v2", 0)),
        header_routes=(HeaderRoute("x-version", "v2", "v2"), HeaderRoute("x-user-role", "farmer", "v2")),
    )
    async with (
        backends(Backend("a"), Backend("b", "v2")) as (a, b),
        serving(views, table=base_table(tmp_path)) as server,
    ):
        await views.show([a.registered, b.registered], [policy])
        async with proxy(tmp_path, server.address) as edge:
            for matching in (("x-version", "v2"), ("x-user-role", "guest,farmer,operator")):
                assert await edge.client.calls(20, matching) == {"b": 20}, matching
            for other in (("x-version", "v22"), ("x-user-role", "farmers,a-farmer")):
                assert await edge.client.calls(20, other) == {"a": 20}, other


async def test_a_person_stays_with_a_version_while_weights_shift(tmp_path: Path) -> None:
    views = MemoryViews()

    def split(new: int) -> TrafficPolicy:
        weights = (VersionWeight("v1", 100 - new), VersionWeight("v2", new))
        return TrafficPolicy(SERVICE, weights=weights, balancing=Balancing.RING_HASH, retries=PATIENT)

    async with backends(*three()) as (a, b, c), serving(views, table=base_table(tmp_path)) as server:
        await views.show([a.registered, b.registered, c.registered], [split(10)])
        async with proxy(tmp_path, server.address) as edge:
            people = [f"person-{number}" for number in range(200)]

            async def on_new() -> set[str]:
                found = await edge.client.by_value("x-user-id", people)
                return {person for person in people if found[person] == "c"}

            early = await on_new()
            assert 5 < len(early) < 45
            assert await on_new() == early
            await views.show(policies=[split(40)])

            async def shifted() -> bool:
                return len(await on_new()) > 55

            await eventually(shifted)
            assert early < await on_new()


async def test_an_instance_that_answers_badly_is_left_alone(tmp_path: Path) -> None:
    views = MemoryViews()
    policy = TrafficPolicy(SERVICE, outlier=Outlier(consecutive_errors=3, ejection=timedelta(minutes=1)))
    async with (
        backends(Backend("a"), Backend("b")) as (a, b),
        serving(views, table=base_table(tmp_path)) as server,
    ):
        b.fails = grpc.StatusCode.UNAVAILABLE
        await views.show([a.registered, b.registered], [policy])
        async with proxy(tmp_path, server.address) as edge:

            async def ejected() -> bool:
                # Repeated elsewhere, no call fails; so few at once keep within the budget of retries.
                assert await edge.client.calls(20, at_once=2) == {"a": 20}
                return await edge.has("cluster.orders.outlier_detection.ejections_active", 1)

            await eventually(ejected, 20, ignore=())
            seen = b.calls
            assert await edge.client.calls(50, at_once=2) == {"a": 50}
            assert b.calls == seen


async def test_whoever_belongs_to_an_instance_that_fails_is_answered_by_another(tmp_path: Path) -> None:
    views = MemoryViews()
    never = Outlier(disabled=True)
    policy = TrafficPolicy(SERVICE, balancing=Balancing.RING_HASH, outlier=never)
    people = [f"person-{number}" for number in range(200)]
    async with (
        backends(Backend("a"), Backend("b")) as (a, b),
        serving(views, table=base_table(tmp_path)) as server,
    ):
        await views.show([a.registered, b.registered], [policy])
        async with proxy(tmp_path, server.address) as edge:
            theirs = await edge.client.by_value("x-user-id", people)
            assert set(theirs.values()) == {"a", "b"}
            b.fails = grpc.StatusCode.UNAVAILABLE
            # So few at once keep within the budget of retries.
            assert await edge.client.by_value("x-user-id", people, at_once=2) == dict.fromkeys(people, "a")


async def test_an_instance_that_stands_still_is_left_without_a_failed_call(tmp_path: Path) -> None:
    views = MemoryViews()
    policy = TrafficPolicy(SERVICE, retries=Retries(per_try_timeout=timedelta(milliseconds=500)))
    async with backends(*two()) as (a, b), serving(views, table=base_table(tmp_path)) as server:
        await views.show([a.registered, b.registered], [policy])
        async with proxy(tmp_path, server.address) as edge:
            await answering(edge.client, {"a", "b"})
            b.frozen = True
            # Repeated at the other one, each after its half second; so few at once keep within the budget.
            assert await edge.client.calls(8, at_once=2) == {"a": 8}
            await eventually(lambda: edge.has("cluster.orders.membership_healthy", 1), 20)
            assert await edge.client.calls(50) == {"a": 50}
            # Out of the registry, it is out at once, whatever its health.
            await views.show([a.registered])
            await eventually(lambda: edge.has("cluster.orders.membership_total", 1))


async def test_what_takes_longer_than_one_attempt_may_at_every_instance_is_answered(tmp_path: Path) -> None:
    views = MemoryViews()
    policy = TrafficPolicy(SERVICE, retries=Retries(per_try_timeout=timedelta(milliseconds=50)))
    async with backends(*two()) as (a, b), serving(views, table=base_table(tmp_path)) as server:
        await views.show([a.registered, b.registered], [policy])
        async with proxy(tmp_path, server.address) as edge:
            a.takes_s = b.takes_s = 0.5
            assert set(await edge.client.calls(4, at_once=2)) <= {"a", "b"}
            assert a.calls + b.calls > 4


async def test_instances_come_and_go_without_a_failed_call(tmp_path: Path) -> None:
    views = MemoryViews()
    table = base_table(tmp_path, retried=False)
    async with backends(*two()) as (a, b), serving(views, table=table) as server:
        await views.show([a.registered])
        async with proxy(tmp_path, server.address) as edge:
            over = asyncio.Event()
            loads = asyncio.create_task(edge.client.load(over))
            for _ in range(5):
                await views.show([a.registered, b.registered])
                await answering(edge.client, {"a", "b"})
                await views.show([a.registered])
                await answering(edge.client, {"a"})
            over.set()
            assert await loads > 100


async def test_calls_go_on_when_discovery_dies_and_comes_back(tmp_path: Path) -> None:
    views = MemoryViews()
    table = base_table(tmp_path)
    async with backends(Backend("a"), Backend("b")) as (a, b):
        await views.show([a.registered])
        async with serving(views, table=table) as server:
            port = int(server.address.rpartition(":")[2])
            running = proxy(tmp_path, server.address)
            edge = await running.__aenter__()
            assert await edge.client.calls(10) == {"a": 10}
        try:
            assert await edge.client.calls(500) == {"a": 500}
            reborn = MemoryViews()
            async with serving(reborn, port, table):
                await eventually(lambda: edge.has("control_plane.connected_state", 1))
                # It knows nothing yet, and says so to nobody.
                assert await edge.client.calls(100) == {"a": 100}
                await reborn.show([a.registered, b.registered])
                await answering(edge.client, {"a", "b"})
        finally:
            await running.__aexit__(None, None, None)


async def test_a_second_server_takes_over(tmp_path: Path) -> None:
    views = MemoryViews()
    table = base_table(tmp_path)
    async with backends(Backend("a"), Backend("b")) as (a, b), serving(views, table=table) as second:
        await views.show([a.registered])
        async with serving(views, table=table) as first:
            running = proxy(tmp_path, first.address, second.address)
            edge = await running.__aenter__()
            assert await edge.client.calls(10) == {"a": 10}
        try:
            await eventually(lambda: edge.has("control_plane.connected_state", 1))
            await views.show([a.registered, b.registered])
            await answering(edge.client, {"a", "b"})
        finally:
            await running.__aexit__(None, None, None)
