"""The control plane's discovery over mutual TLS: for gRPC's own clients and for a real edge."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import grpc
import httpx
import pytest

from chassis.channels import Channels
from chassis.discovery.bootstrap import VARIABLE, bootstrap, turned
from chassis.settings import Settings
from chassis.testing import eventually
from chassis.tls import server_credentials
from fleet.edge.render import render
from fleet.edge.settings import Address, EdgeSettings
from fleet.membership import members as fleet_members
from fleet.services import SERVICES
from fleet.testing.ports import free_port
from services.control.adapters.health import GrpcProbe, channels_by
from services.control.adapters.xds.edge_table import EdgeTable
from services.control.adapters.xds.envoy import EnvoyRenderer
from services.control.adapters.xds.grpc_clients import GrpcRenderer
from services.control.adapters.xds.server import XdsServer
from tests.integration.control.xds.harness import MemoryViews, instance
from tests.integration.edge.harness import LOOPBACK, envoy
from tests.integration.edge.services import Services
from tests.integration.interceptors.harness import Server, serve
from tests.integration.tls.test_rotation import SHORT_LIVED, tended, under_load
from tests.integration.tls.world import NAMES, SERVED, Calls, Members

DISHES = "/api/menu-items:batchGet?menu_item_ids=00000000-0000-4000-8000-000000000001"


@asynccontextmanager
async def discovery(
    members: Members, views: MemoryViews, routes: Path | None = None, address: str = ""
) -> AsyncIterator[str]:
    """Control's discovery, as `control`; gives its address."""
    table = EdgeTable(routes)
    server = XdsServer(
        address or f"{LOOPBACK}:{free_port()}",
        views,
        [GrpcRenderer(tls=True), EnvoyRenderer(table, tls_dir=members["edge"])],
        credentials=server_credentials(members["control"]),
    )
    running = asyncio.create_task(server.run())
    try:
        await asyncio.wait_for(server.started.wait(), 10)
        yield server.address
    finally:
        await server.stop()
        await running


@asynccontextmanager
async def calling_by_name(
    patch: pytest.MonkeyPatch, members: Members, caller: str, *xds: str
) -> AsyncIterator[Calls]:
    """A member that reaches `orders` by its name, as a process of the fleet does."""
    tls_dir = members[caller]
    settings = Settings(caller, "", "", "", Path(), instance_id=f"{caller}-1", xds=xds, tls_dir=tls_dir)
    patch.setenv(VARIABLE, json.dumps(bootstrap(settings)))
    channels = Channels({}, xds=True, tls_dir=tls_dir)
    try:
        yield Calls(channels.get("orders"))
    finally:
        await channels.close()


def port_of(server: Server) -> int:
    return int(server.address.rpartition(":")[2])


async def test_a_name_is_found_and_proven_while_the_authority_is_replaced(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = MemoryViews()
    async with (
        serve(*SERVED, tls_dir=members["orders"], options=SHORT_LIVED) as server,
        discovery(members, views) as xds,
        calling_by_name(monkeypatch, members, "users", xds) as calls,
    ):
        await views.show([instance("orders-1", port_of(server))])
        async with under_load(calls.public) as load:
            members.authority.rotate()
            await tended(members)
            await load.more()
            await tended(members)
            await load.more()
        assert load.failed == set()
        # Not even the one who tells of endpoints can make somebody else an instance of a service.
        async with serve(*SERVED, tls_dir=members["crops"]) as impostor:
            await views.show([instance("orders-2", port_of(impostor))])
            await eventually(lambda: _is(calls, "UNAVAILABLE"), 20)


async def _is(calls: Calls, expected: str) -> bool:
    return await calls.public() == expected


async def test_a_caller_whose_control_is_away_learns_of_changes_from_the_other(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    replicas = tuple(f"{LOOPBACK}:{free_port()}" for _ in range(2))
    members.authority.ensure(fleet_members(NAMES, replicas))
    views = MemoryViews()
    async with AsyncExitStack() as stack:
        control = {address: await stack.enter_async_context(AsyncExitStack()) for address in replicas}
        for address, life in control.items():
            await life.enter_async_context(discovery(members, views, address=address))
        former, later = [
            await stack.enter_async_context(serve(*SERVED, tls_dir=members["orders"])) for _ in range(2)
        ]
        await views.show([instance("orders-1", port_of(former))])
        calls = await stack.enter_async_context(calling_by_name(monkeypatch, members, "users", *replicas))
        assert await calls.public() == "OK"
        await control[turned(replicas, "users-1")[0]].aclose()
        await views.show([instance("orders-2", port_of(later))])
        # Only who has heard of the newer one finds anybody.
        await former.grpc_server.stop(0)
        await eventually(lambda: _is(calls, "OK"), 20)


async def test_a_certificate_without_the_names_of_all_replicas_together_is_enough_to_be_told(
    members: Members, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = MemoryViews()
    async with (
        serve(*SERVED, tls_dir=members["orders"]) as server,
        discovery(members, views) as first,
        discovery(members, views) as second,
        calling_by_name(monkeypatch, members, "users", first, second) as calls,
    ):
        await views.show([instance("orders-1", port_of(server))])
        await eventually(lambda: _is(calls, "OK"), 20)


async def test_discovery_is_told_to_members_only(members: Members) -> None:
    async with discovery(members, MemoryViews()) as xds, grpc.aio.insecure_channel(xds) as channel:
        stream = channel.stream_stream(
            "/envoy.service.discovery.v3.AggregatedDiscoveryService/StreamAggregatedResources"
        )(timeout=5)
        assert await stream.code() is grpc.StatusCode.UNAVAILABLE


async def test_control_asks_instances_for_their_health_by_their_names(members: Members) -> None:
    from grpc_health.v1 import health_pb2_grpc  # noqa: PLC0415

    from chassis.health import SERVING, HealthServicer  # noqa: PLC0415

    health = HealthServicer()
    health.set("", SERVING)
    add = health_pb2_grpc.add_HealthServicer_to_server
    async with serve((add, health), tls_dir=members["orders"]) as server:
        probe = GrpcProbe(channels_by(members["control"]))
        genuine = instance("orders-1", port_of(server))
        impostor = instance("crops-1", port_of(server), service="crops")
        assert await probe.check(genuine) == ""
        await probe.forget(genuine)
        assert "UNAVAILABLE" in await probe.check(impostor)
        await probe.forget(impostor)


async def test_a_real_edge_learns_everything_and_calls_services_over_it(
    members: Members, tmp_path: Path
) -> None:
    catalog, auth = Services(tls_dir=members["catalog"]), Services(tls_dir=members["auth"])
    await catalog.start()
    await auth.start()
    views = MemoryViews()
    output = tmp_path / "envoy"
    try:
        async with discovery(members, views, output / "routes.json") as xds:
            settings = EdgeSettings(
                listen=Address(LOOPBACK, free_port()),
                admin=Address(LOOPBACK, free_port()),
                services={spec.name: (Address(LOOPBACK, 1),) for spec in SERVICES},
                output_dir=output,
                xds=(Address.parse(xds),),
                tls_dir=members["edge"],
            )
            configuration = render(settings)
            others = [
                instance(spec.name, 1, service=spec.name)
                for spec in SERVICES
                if spec.name not in ("auth", "catalog")
            ]
            known = [
                instance("auth", auth.port, service="auth"),
                instance("catalog", catalog.port, service="catalog"),
            ]
            await views.show([*known, *others])
            with envoy(configuration, tmp_path / "envoy.log"):
                url = f"http://{LOOPBACK}:{settings.listen.port}{DISHES}"
                async with httpx.AsyncClient(timeout=10) as http:

                    async def answers() -> bool:
                        return (await http.get(url)).status_code == 200

                    await eventually(answers, 20, ignore=(httpx.HTTPError,))
                    assert catalog.last("BatchGetMenuItems").caller == "edge"
                    members.authority.rotate()
                    await tended(members)
                    await tended(members)
                    # Everybody has to prove themselves anew by what is believed now.
                    await catalog.stop()
                    await catalog.start(catalog.port)
                    await eventually(answers, 20, ignore=(httpx.HTTPError,))
    finally:
        await catalog.stop()
        await auth.stop()
