"""The discovery server by its protocol."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any

import grpc
import pytest
from prometheus_client import REGISTRY

from chassis.testing import eventually
from fleet.testing.ports import free_port
from services.control.adapters.xds import server as server_module
from services.control.adapters.xds import stubs
from services.control.adapters.xds.resources import CLUSTERS, ENDPOINTS, LISTENERS, ROUTES
from services.control.adapters.xds.streams import MOST_NAMES
from services.control.domain.view import FleetView
from tests.integration.control.xds.harness import MemoryViews, instance, serving

SERVICES = [f"service-{number}" for number in range(10)]
EVERY_TYPE = (LISTENERS, ROUTES, CLUSTERS, ENDPOINTS)


class Watcher:
    """A client that speaks the protocol itself."""

    def __init__(self, address: str, agent: str = "gRPC test") -> None:
        # A connection each, as processes have.
        self._channel = grpc.aio.insecure_channel(address, options=[("grpc.use_local_subchannel_pool", 1)])
        self._stream = stubs.AggregatedDiscoveryServiceStub(self._channel).StreamAggregatedResources()
        self._names: dict[str, tuple[str, ...]] = {}
        self._node = stubs.Node(id="watcher", user_agent_name=agent)

    async def __aenter__(self) -> "Watcher":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stream.cancel()
        await self._channel.close()

    async def ask(self, url: str, *names: str) -> None:
        self._names[url] = names
        await self._stream.write(stubs.DiscoveryRequest(node=self._node, type_url=url, resource_names=names))

    async def told(self) -> Any:
        """The next response, which it takes."""
        response = await asyncio.wait_for(self._stream.read(), 10)
        assert response is not grpc.aio.EOF, await self._stream.details()
        await self._stream.write(
            stubs.DiscoveryRequest(
                type_url=response.type_url,
                response_nonce=response.nonce,
                version_info=response.version_info,
                resource_names=self._names[response.type_url],
            )
        )
        return response

    names: dict[str, list[str]] = dict.fromkeys(EVERY_TYPE, SERVICES)

    async def code(self) -> grpc.StatusCode:
        code: grpc.StatusCode = await self._stream.code()
        return code


def sample(name: str, **labels: str) -> float:
    return REGISTRY.get_sample_value(name, labels) or 0


async def test_three_hundred_watchers_learn_of_a_change_that_was_rendered_once() -> None:
    views = MemoryViews()
    fleet = [
        instance(f"{name}-{number}", 9000 + number, service=name) for name in SERVICES for number in range(10)
    ]
    async with AsyncExitStack() as stack:
        server = await stack.enter_async_context(serving(views))
        await views.show(fleet)
        watchers = [await stack.enter_async_context(Watcher(server.address)) for _ in range(300)]

        async def begin(watcher: Watcher) -> None:
            for url in EVERY_TYPE:
                await watcher.ask(url, *SERVICES)
                assert len((await watcher.told()).resources) == len(SERVICES)

        for number in range(0, 300, 50):
            await asyncio.gather(*map(begin, watchers[number : number + 50]))
        assert sample("xds_streams", kind="grpc") == 300
        renders, pushes = sample("xds_renders_total", kind="grpc"), _pushes()
        await views.show([*fleet, instance("new", 9999, service=SERVICES[3])])
        told = await asyncio.gather(*(watcher.told() for watcher in watchers))
        # One service's endpoints and nothing else, to each once.
        assert {(each.type_url, len(each.resources)) for each in told} == {(ENDPOINTS, 1)}
        assert sample("xds_renders_total", kind="grpc") == renders + 1
        assert _pushes() == pushes + 300
    await eventually(lambda: sample("xds_streams", kind="grpc") == 0)


def _pushes() -> float:
    return sum(sample("xds_pushes_total", kind="grpc", type=url.rpartition(".")[2]) for url in EVERY_TYPE)


async def test_nothing_is_told_before_there_is_a_view() -> None:
    views = MemoryViews()
    async with (
        serving(views) as server,
        Watcher(server.address) as watcher,
        Watcher(server.address, "envoy") as edge,
    ):
        await watcher.ask(LISTENERS, *SERVICES)
        await edge.ask(CLUSTERS)
        early = [asyncio.create_task(each.told()) for each in (watcher, edge)]
        assert (await asyncio.wait(early, timeout=0.3))[0] == set()
        await views.show([instance("a", 9000, service=SERVICES[0])])
        listeners, clusters = await asyncio.gather(*early)
        assert (listeners.type_url, len(listeners.resources)) == (LISTENERS, 1)
        assert (clusters.type_url, len(clusters.resources)) == (CLUSTERS, 1)


async def test_replicas_give_the_same_content_the_same_version() -> None:
    views = MemoryViews()
    fleet = [instance("a", 9000, service=SERVICES[0])]
    await views.show(fleet)
    other = MemoryViews()
    await other.show([])
    await other.show(fleet)
    async with serving(views) as first, serving(other) as second:
        versions = set()
        for server in (first, second):
            async with Watcher(server.address) as watcher:
                await watcher.ask(ENDPOINTS, *SERVICES)
                versions.add((await watcher.told()).version_info)
        assert len(versions) == 1


async def test_a_stream_that_asks_for_too_much_is_ended() -> None:
    async with serving(MemoryViews()) as server, Watcher(server.address) as watcher:
        await watcher.ask(ENDPOINTS, *map(str, range(MOST_NAMES + 1)))
        assert await watcher.code() is grpc.StatusCode.INVALID_ARGUMENT


async def test_streams_beyond_the_bound_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "MOST_STREAMS", 1)
    views = MemoryViews()
    await views.show([instance("a", 9000, service=SERVICES[0])])
    async with serving(views) as server, Watcher(server.address) as first:
        await first.ask(LISTENERS, *SERVICES)
        await first.told()
        async with Watcher(server.address) as second:
            assert await second.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


async def test_a_stream_that_says_nothing_is_ended_and_leaves_its_place_to_another(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "MOST_STREAMS", 1)
    monkeypatch.setattr(server_module, "_FIRST_REQUEST_S", 0.2)
    views = MemoryViews()
    await views.show([instance("a", 9000, service=SERVICES[0])])
    async with serving(views) as server, Watcher(server.address) as silent:
        assert await silent.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        async with Watcher(server.address) as watcher:
            await watcher.ask(LISTENERS, *SERVICES)
            assert (await watcher.told()).type_url == LISTENERS
            # Who has said something may be silent for as long as nothing changes.
            telling = asyncio.ensure_future(watcher.told())
            assert (await asyncio.wait((telling,), timeout=0.5))[0] == set()
            await views.show(
                [instance("a", 9000, service=SERVICES[0]), instance("b", 9001, service=SERVICES[1])]
            )
            assert (await telling).type_url == LISTENERS


async def test_stopping_ends_streams_in_order() -> None:
    views = MemoryViews()
    await views.show([instance("a", 9000, service=SERVICES[0])])
    async with AsyncExitStack() as stack:
        async with serving(views) as server:
            watcher = await stack.enter_async_context(Watcher(server.address))
            await watcher.ask(LISTENERS, *SERVICES)
            await watcher.told()
        assert await watcher.code() is grpc.StatusCode.OK


async def test_deltas_are_not_served() -> None:
    async with serving(MemoryViews()) as server, grpc.aio.insecure_channel(server.address) as channel:
        stream = stubs.AggregatedDiscoveryServiceStub(channel).DeltaAggregatedResources()
        assert await stream.code() is grpc.StatusCode.UNIMPLEMENTED


async def test_an_address_in_use_is_an_error_and_not_a_silence() -> None:
    views = MemoryViews()
    async with serving(views) as server:
        second = server_module.XdsServer(server.address, views, [])
        with pytest.raises(RuntimeError, match="bind"):
            await second.run()
        await second.stop()


async def test_a_view_that_fails_ends_the_server() -> None:
    class Broken(MemoryViews):
        async def wait_newer(self, revision: int) -> FleetView:
            raise ValueError("no view")

    server = server_module.XdsServer(f"127.0.0.1:{free_port()}", Broken(), [])
    with pytest.raises(ValueError, match="no view"):
        await server.run()
