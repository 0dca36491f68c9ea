"""One live fleet with control, two processes of each service, one catalog newer, and the edge."""

import asyncio
import json
import uuid
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest_asyncio
from prometheus_client.parser import text_string_to_metric_families

from chassis.testing import eventually
from fleet.client import CallFailed, RpcEdge, Session
from fleet.services import CONTROL, SERVICES
from fleet.testing.live import QUICK, LiveFleet, live_fleet
from greenledger.control.v1 import control_pb2, traffic_pb2
from tests.resilience.fleet.market import Market

# Envoy writes its log every second.
_LOG_S = 10.0
_AT_ONCE = 8
# Two of each service on two processors: neither must take the other for dead.
PATIENT = QUICK | {"GREENLEDGER_SAGA_LEASE_MS": "5000"}
CONTROLS = ("control", "control-2")
PUBLIC = "/api/venues?page_size=1"


@dataclass
class Steered:
    """The fleet through its edge.

    Args:
        live: its parts.
        edge: over gRPC.
        http: over JSON.
        operator: logged in.
        newer: name of the catalog of version v2.
        market: people and goods, whose calls go through the edge.
    """

    live: LiveFleet
    edge: RpcEdge
    http: httpx.AsyncClient
    operator: Session
    newer: str
    market: Market

    async def shift(self, **weights: int) -> None:
        """Give the versions of catalog shares."""
        shares = [traffic_pb2.VersionWeight(version=name, weight=share) for name, share in weights.items()]
        request = traffic_pb2.ShiftTrafficRequest(service="catalog", weights=shares, why="a test")
        await self.edge.call(self.edge.traffic.ShiftTraffic, request, self.operator)

    async def set_policy(self, policy: traffic_pb2.TrafficPolicy, service: str = "catalog") -> None:
        """Replace the policy of a service."""
        request = traffic_pb2.SetTrafficPolicyRequest(service=service, policy=policy, why="a test")
        await self.edge.call(self.edge.traffic.SetTrafficPolicy, request, self.operator)

    async def set_limits(self, anonymous: int, authenticated: int) -> None:
        """Requests in a day, 0 for no limit."""
        policy = traffic_pb2.EdgePolicy()
        for limit, requests in ((policy.anonymous, anonymous), (policy.authenticated, authenticated)):
            limit.requests = requests
            limit.per.FromSeconds(86_400)
        request = traffic_pb2.SetEdgePolicyRequest(policy=policy, why="a test")
        await self.edge.call(self.edge.traffic.SetEdgePolicy, request, self.operator)

    async def get(self, **headers: str) -> httpx.Response:
        """A public read of catalog."""
        return await self.http.get(PUBLIC, headers=headers)

    async def answered_by(self, calls: int, **headers: str) -> Counter[str]:
        """Who answered so many public reads, by name; each must succeed."""
        mark = str(uuid.uuid4())
        numbers = iter(range(calls))

        async def call() -> None:
            for number in numbers:
                response = await self.get(**headers, **{"x-request-id": f"{mark}-{number}"})
                assert response.status_code == httpx.codes.OK, response.text

        await asyncio.gather(*(call() for _ in range(_AT_ONCE)))
        names = {entry.address: entry.name for entry in self.live.layout.instances}

        def logged() -> Counter[str]:
            lines = [json.loads(line) for line in self.live.log("envoy").splitlines() if mark in line]
            assert len(lines) == calls
            return Counter(names[line["upstream"]] for line in lines)

        found: Counter[str] = await eventually(logged, _LOG_S)
        return found

    async def listed(self, replica: str) -> dict[str, str]:
        """The health of every instance, as one replica of control tells it."""
        rpc = self.live.rpc(replica)
        request = control_pb2.ListInstancesRequest(page_size=1000)
        found = (await rpc.call(rpc.registry.ListInstances, request, self.operator)).instances
        name = control_pb2.InstanceHealth.Name
        return {entry.instance_id: name(entry.health).removeprefix("INSTANCE_HEALTH_") for entry in found}

    async def at_edge(self) -> dict[str, bool]:
        """Every process that the edge knows, and whether it sends calls there."""
        url = f"http://127.0.0.1:{self.live.settings.envoy_admin_port}/clusters?format=json"
        names = {entry.address: entry.name for entry in self.live.layout.instances}
        found: dict[str, bool] = {}
        for cluster in (await self.http.get(url)).json()["cluster_statuses"]:
            for host in cluster.get("host_statuses", ()):
                place = host["address"].get("socket_address", {})
                name = names.get(f"{place.get('address')}:{place.get('port_value')}")
                if name is not None:
                    health = dict(host["health_status"])
                    health.pop("eds_health_status", None)
                    found[name] = not any(health.values())
        return found

    async def known(self, *names: str) -> None:
        """Wait until both replicas of control and the edge send calls to these processes."""

        async def everywhere() -> bool:
            for replica in CONTROLS:
                health = await self.listed(replica)
                assert {name: health.get(name) for name in names} == dict.fromkeys(names, "PASSING"), replica
            there = await self.at_edge()
            assert all(there.get(name) for name in names), there
            return True

        await eventually(everywhere, 60, interval_s=0.1, ignore=(AssertionError, CallFailed))

    async def metrics(self, name: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
        """What a process counts, by name and labels."""
        (port,) = (entry.metrics_port for entry in self.live.layout.instances if entry.name == name)
        text = (await self.http.get(f"http://127.0.0.1:{port}/metrics")).text
        families = text_string_to_metric_families(text)
        return {
            (sample.name, tuple(sorted(sample.labels.items()))): sample.value
            for family in families
            for sample in family.samples
        }

    async def counted(self, name: str, metric: str, **labels: str) -> float:
        """The sum of a process's samples that have these labels."""
        return sum(
            value
            for (found, has), value in (await self.metrics(name)).items()
            if found == metric and labels.items() <= dict(has).items()
        )


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def running() -> AsyncIterator[Steered]:
    """The fleet, for all tests of the folder."""
    async with live_fleet(PATIENT, control=True) as live:
        newer = live.add_replica("catalog", "v2")
        single = [spec.name for spec in SERVICES if spec.name not in ("catalog", CONTROL)]
        further = [newer, *(live.add_replica(name) for name in single)]
        await asyncio.gather(*(live.start_service(name) for name in further))
        url = await live.start_edge()
        async with RpcEdge(url) as edge, httpx.AsyncClient(base_url=url, trust_env=False) as http:
            market = Market(live, lambda _: edge)
            await market.open()
            yield Steered(live, edge, http, await Session.open(edge, live.operator), newer, market)


@pytest_asyncio.fixture(loop_scope="session")
async def steered(running: Steered) -> AsyncIterator[Steered]:
    """The fleet with every part alive, no policy and no limits, also after the test."""
    yield running
    await running.live.revive()

    async def as_before() -> bool:
        await running.shift()
        await running.set_policy(traffic_pb2.TrafficPolicy())
        await running.set_limits(0, 0)
        assert "ratelimit-limit" not in (await running.get()).headers
        return True

    # Control that was killed has to hear of everybody anew.
    await eventually(as_before, 30, ignore=(Exception,))
