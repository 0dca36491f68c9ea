"""What clients refuse, and what they must be sent again."""

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY

from chassis.testing import eventually
from fleet.edge.render import render
from fleet.edge.settings import Address
from services.control.adapters.xds import envoy as renderer_module
from services.control.adapters.xds.edge_table import EdgeTable
from services.control.adapters.xds.envoy_clusters import service_clusters
from services.control.domain.policy import (
    Balancing,
    EdgePolicy,
    HeaderRoute,
    Retries,
    TrafficPolicy,
    VersionWeight,
)
from tests.integration.control.xds.edge import Proxy, base_table, proxy
from tests.integration.control.xds.harness import (
    SERVICE,
    Backend,
    MemoryViews,
    backends,
    grpc_client,
    instance,
    serving,
)
from tests.integration.edge.harness import edge_settings
from tests.integration.edge.services import Services


def counted(kind: str, type_: str, outcome: str) -> float:
    labels = {"kind": kind, "type": type_, "outcome": outcome}
    return REGISTRY.get_sample_value("xds_answers_total", labels) or 0


async def test_a_refusal_is_counted_and_logged_and_harms_nobody(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    views = MemoryViews()
    table = base_table(tmp_path)
    before = counted("envoy", "RouteConfiguration", "nack")
    async with backends(Backend("a")) as (a,), serving(views, table=table) as server:
        await views.show([a.registered])
        async with proxy(tmp_path, server.address) as edge:
            assert await edge.client.calls(10) == {"a": 10}
            # Our own rules do not read regular expressions; Envoy does.
            good = (tmp_path / "routes.json").read_text()
            content = json.loads(good)
            [host] = content["virtual_hosts"]
            host["routes"][0]["match"] = {"safe_regex": {"regex": "(unclosed"}}
            (tmp_path / "routes.json").write_text(json.dumps(content))
            await eventually(lambda: counted("envoy", "RouteConfiguration", "nack") == before + 1)
            assert "missing )" in capsys.readouterr().out
            assert await edge.client.calls(10) == {"a": 10}
            (tmp_path / "routes.json").write_text(good + "\n")
            taken = counted("envoy", "RouteConfiguration", "ack")
            await eventually(lambda: counted("envoy", "RouteConfiguration", "ack") > taken)
            assert await edge.client.calls(10) == {"a": 10}


async def test_no_call_is_sent_to_a_cluster_that_was_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    views = MemoryViews()
    two = [Backend("a"), Backend("b", "v2")]
    before = counted("envoy", "Cluster", "nack")

    def incomplete(*arguments: Any) -> Iterator[Any]:
        for message in service_clusters(*arguments):
            if getattr(message, "name", "").endswith("@v2"):
                message.ClearField("eds_cluster_config")
            yield message

    half = [VersionWeight("v1", 50), VersionWeight("v2", 50)]
    async with backends(*two), serving(views, table=base_table(tmp_path)) as server:
        await views.show([each.registered for each in two])
        async with proxy(tmp_path, server.address) as edge:
            with monkeypatch.context() as patch:
                patch.setattr(renderer_module, "service_clusters", incomplete)
                await views.show(policies=[TrafficPolicy(SERVICE, weights=tuple(half))])
                await eventually(lambda: counted("envoy", "Cluster", "nack") == before + 1)
                # Routes that went out would be there before endpoints that are told after them.
                await views.show([two[0].registered])
                await eventually(lambda: only(edge, "a"))
                assert await edge.has("http.edge.rds.edge.config_reload", 1)
            await views.show([each.registered for each in two], [TrafficPolicy(SERVICE)])
            await views.show(policies=[TrafficPolicy(SERVICE, weights=tuple(half), max_requests=77)])
            await eventually(lambda: edge.has("http.edge.rds.edge.config_reload", 2))
            assert (await edge.client.calls(60)).keys() == {"a", "b"}


async def only(edge: Proxy, name: str) -> bool:
    """Whether nobody else answers."""
    return set(await edge.client.calls(10)) == {name}


async def test_a_changed_cluster_gets_its_endpoints_again(tmp_path: Path) -> None:
    views = MemoryViews()
    async with backends(Backend("a")) as (a,), serving(views, table=base_table(tmp_path)) as server:
        await views.show([a.registered])
        async with proxy(tmp_path, server.address) as edge:
            await views.show(policies=[TrafficPolicy(SERVICE, max_requests=77)])

            async def changed() -> bool:
                return "orders::default_priority::max_requests::77" in await edge.admin("/clusters")

            # Without its endpoints it would wait for them for 15 s.
            await eventually(changed, 5)
            assert await edge.client.calls(10) == {"a": 10}
            assert await edge.has("cluster_manager.warming_clusters", 0)


async def test_a_changed_cluster_keeps_its_clients(monkeypatch: pytest.MonkeyPatch) -> None:
    views = MemoryViews()
    async with backends(Backend("a")) as (a,), serving(views) as server:
        await views.show([a.registered])
        async with grpc_client(monkeypatch, server.address) as client:
            assert await client.call() == "a"
            taken = counted("grpc", "Cluster", "ack")
            await views.show(policies=[TrafficPolicy(SERVICE, balancing=Balancing.RING_HASH)])
            await eventually(lambda: counted("grpc", "Cluster", "ack") > taken)
            assert await client.calls(50) == {"a": 50}
            assert counted("grpc", "Cluster", "nack") == 0


@pytest.mark.parametrize("shared", [False, True], ids=["local", "shared"])
async def test_the_edges_own_table_is_taken_with_every_policy(tmp_path: Path, shared: bool) -> None:
    nobody = Services(keys=[])
    settings = edge_settings(nobody, nobody, tmp_path, ())
    names = sorted({*settings.services, "control"})
    own = replace(settings, services={name: (Address("127.0.0.1", 9),) for name in names})
    rendered = yaml.safe_load(render(own).read_text())
    [chain] = rendered["static_resources"]["listeners"][0]["filter_chains"]
    table = tmp_path / "routes.json"
    table.write_text(json.dumps(chain["filters"][0]["typed_config"]["route_config"]))
    policies = [
        TrafficPolicy(
            name,
            weights=(VersionWeight("v1", 90), VersionWeight("v2", 10)),
            header_routes=(HeaderRoute("x-version", "v2", "v2"), HeaderRoute("x-user-role", "farmer", "v2")),
            balancing=Balancing.RING_HASH,
            retries=Retries(attempts=5),
        )
        for name in names
    ]
    views = MemoryViews()
    async with serving(views, table=EdgeTable(table)) as server:
        instances = [instance(f"{name}-1", 9, service=name) for name in names]
        await views.show(instances, policies, EdgePolicy(shared=shared))
        async with proxy(tmp_path, server.address) as edge:
            assert await edge.has("http.edge.rds.edge.update_success", 1)
            assert await edge.has("http.edge.rds.edge.update_rejected", 0)
            assert await edge.has("cluster_manager.cds.update_rejected", 0)
            assert await edge.counter("cluster_manager.active_clusters") == 1 + 3 * len(names)
