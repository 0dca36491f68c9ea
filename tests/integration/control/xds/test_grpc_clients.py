"""Real gRPC clients that learn of instances and policies by xDS."""

import asyncio
import math
from collections import Counter
from contextlib import AsyncExitStack
from datetime import timedelta

import grpc
import pytest

from chassis.testing import eventually
from services.control.domain.policy import (
    Balancing,
    HeaderRoute,
    Outlier,
    TrafficPolicy,
    VersionWeight,
)
from tests.integration.control.xds.harness import (
    SERVICE,
    Backend,
    Client,
    MemoryViews,
    answering,
    backends,
    grpc_client,
    serving,
)

KEY = "x-greenledger-key"
KEYS = [f"key-{number}" for number in range(1000)]


async def test_instances_that_come_are_called_and_those_that_go_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = MemoryViews()
    async with backends(Backend("a"), Backend("b")) as (a, b), serving(views) as server:
        await views.show([a.registered])
        async with grpc_client(monkeypatch, server.address) as client:
            assert set(await client.calls(10)) == {"a"}
            await views.show([a.registered, b.registered])
            await answering(client, {"a", "b"})
            await views.show([b.registered])
            await answering(client, {"b"})


async def test_instances_come_and_go_without_a_failed_call(monkeypatch: pytest.MonkeyPatch) -> None:
    views = MemoryViews()
    async with backends(Backend("a"), Backend("b")) as (a, b), serving(views) as server:
        await views.show([a.registered])
        async with grpc_client(monkeypatch, server.address) as client:
            over = asyncio.Event()
            loads = asyncio.create_task(client.load(over))
            for _ in range(10):
                await views.show([a.registered, b.registered])
                await answering(client, {"a", "b"})
                await views.show([a.registered])
                await answering(client, {"a"})
            over.set()
            assert await loads > 100


async def test_calls_wait_for_the_first_view_and_the_first_instance(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = MemoryViews()
    async with (
        backends(Backend("a")) as (a,),
        serving(views) as server,
        grpc_client(monkeypatch, server.address) as client,
    ):
        early = asyncio.create_task(client.call())
        await views.show([])
        await views.show([a.registered])
        assert await early == "a"


async def test_weights_are_kept_over_ten_thousand_calls_and_follow_a_shift(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = MemoryViews()
    split = TrafficPolicy(SERVICE, weights=(VersionWeight("v1", 90), VersionWeight("v2", 10)))
    async with (
        backends(Backend("a"), Backend("b"), Backend("c", "v2")) as (a, b, c),
        serving(views) as server,
    ):
        await views.show([a.registered, b.registered, c.registered], [split])
        async with grpc_client(monkeypatch, server.address) as client:
            found = await client.calls(10_000)
            # 4.4 standard deviations of a binomial: wrong once in 100,000 runs.
            assert abs(found["c"] - 1000) < 4.4 * math.sqrt(10_000 * 0.1 * 0.9)
            await views.show(policies=[TrafficPolicy(SERVICE, weights=(VersionWeight("v2", 100),))])
            await answering(client, {"c"})


async def test_a_header_decides_before_the_weights(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = MemoryViews()
    policy = TrafficPolicy(
        SERVICE,
        weights=(VersionWeight("v1", 100), VersionWeight("v2", 0)),
        header_routes=(HeaderRoute("x-version", "v2", "v2"), HeaderRoute("x-user-role", "farmer", "v2")),
    )
    async with backends(Backend("a"), Backend("b", "v2")) as (a, b), serving(views) as server:
        await views.show([a.registered, b.registered], [policy])
        async with grpc_client(monkeypatch, server.address) as client:
            for matching in (
                ("x-version", "v2"),
                ("x-user-role", "farmer"),
                ("x-user-role", "guest,farmer,operator"),
            ):
                assert await client.calls(20, matching) == {"b": 20}, matching
            for other in (("x-version", "v22"), ("x-user-role", "farmers,a-farmer"), ("x-other", "v2")):
                assert await client.calls(20, other) == {"a": 20}, other


async def test_a_version_that_nobody_runs_is_answered_by_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = MemoryViews()
    policy = TrafficPolicy(SERVICE, weights=(VersionWeight("v2", 100),))
    async with backends(Backend("a")) as (a,), serving(views) as server:
        await views.show([a.registered], [policy])
        async with grpc_client(monkeypatch, server.address) as client:
            assert await client.call() == "a"


async def test_a_key_stays_with_its_instance_and_few_move_when_one_leaves(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = MemoryViews()
    policy = TrafficPolicy(SERVICE, balancing=Balancing.RING_HASH)
    async with AsyncExitStack() as stack:
        all_of = await stack.enter_async_context(backends(*(Backend(f"i{n}") for n in range(5))))
        server = await stack.enter_async_context(serving(views))
        await views.show([each.registered for each in all_of], [policy])
        client = await stack.enter_async_context(grpc_client(monkeypatch, server.address))
        before = await client.by_value(KEY, KEYS)
        assert await client.by_value(KEY, KEYS) == before
        assert min(Counter(before[key] for key in before).values()) > 100
        await views.show([each.registered for each in all_of[:4]])
        await eventually(lambda: leaves(client, "i4"))
        after = await client.by_value(KEY, KEYS)
        moved = {key for key in before if before[key] != after[key]}
        # Of those whose instance stayed, none moves on a ring.
        assert moved == {key for key in before if before[key] == "i4"}
        assert 100 < len(moved) < 300


async def leaves(client: Client, name: str) -> bool:
    return name not in await client.calls(50)


async def test_a_key_stays_with_its_version_while_weights_shift(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = MemoryViews()

    def split(new: int) -> TrafficPolicy:
        weights = (VersionWeight("v1", 100 - new), VersionWeight("v2", new))
        return TrafficPolicy(SERVICE, weights=weights, balancing=Balancing.RING_HASH)

    async with (
        backends(Backend("a"), Backend("b"), Backend("c", "v2")) as (a, b, c),
        serving(views) as server,
    ):
        await views.show([a.registered, b.registered, c.registered], [split(10)])
        async with grpc_client(monkeypatch, server.address) as client:
            before = await client.by_value(KEY, KEYS)
            on_new = {key for key in before if before[key] == "c"}
            assert 50 < len(on_new) < 160
            await views.show(policies=[split(30)])

            async def shifted() -> bool:
                return 200 < Counter((await client.by_value(KEY, KEYS)).values())["c"] < 400

            await eventually(shifted)
            after = await client.by_value(KEY, KEYS)
            stayed = sum(1 for key in on_new if after[key] == "c")
            assert stayed >= 0.9 * len(on_new)


async def test_an_instance_that_fails_most_calls_is_left_alone(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = MemoryViews()
    policy = TrafficPolicy(SERVICE, outlier=Outlier(interval=timedelta(milliseconds=200)))
    async with backends(Backend("a"), Backend("b")) as (a, b), serving(views) as server:
        b.fails = grpc.StatusCode.UNAVAILABLE
        await views.show([a.registered, b.registered], [policy])
        async with grpc_client(monkeypatch, server.address) as client:

            async def only_the_good() -> bool:
                return await client.calls(40) == {"a": 40}

            await eventually(only_the_good, ignore=(AssertionError, grpc.aio.AioRpcError))


async def test_channels_survive_death_and_restart_of_discovery(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = MemoryViews()
    async with backends(Backend("a"), Backend("b")) as (a, b):
        await views.show([a.registered])
        async with serving(views) as server:
            port = int(server.address.rpartition(":")[2])
            stack = AsyncExitStack()
            client = await stack.enter_async_context(grpc_client(monkeypatch, server.address))
            assert await client.call() == "a"
        async with stack:
            assert await client.calls(200) == {"a": 200}
            # It comes back knowing nothing, and says nothing until it does.
            reborn = MemoryViews()
            async with serving(reborn, port):
                assert await client.calls(200) == {"a": 200}
                await reborn.show([a.registered, b.registered])
                await answering(client, {"a", "b"})


async def test_a_second_server_answers_when_the_first_is_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    views = MemoryViews()
    async with backends(Backend("a")) as (a,), serving(views) as server:
        await views.show([a.registered])
        nobody = f"127.0.0.1:{Backend('nobody').port}"
        async with grpc_client(monkeypatch, nobody, server.address) as client:
            assert await client.call(timeout=20) == "a"


async def test_updates_come_from_the_other_server_when_one_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    views = MemoryViews()
    async with backends(Backend("a"), Backend("b")) as (a, b), serving(views) as second:
        await views.show([a.registered])
        async with AsyncExitStack() as stack:
            async with serving(views) as first:
                # As two servers of the bootstrap, the second would be asked only for what is not known yet.
                both = f"ipv4:{first.address},{second.address}"
                client = await stack.enter_async_context(grpc_client(monkeypatch, both))
                assert await client.calls(20) == {"a": 20}
            assert await client.calls(100) == {"a": 100}
            await views.show([a.registered, b.registered])
            await answering(client, {"a", "b"})
