"""What `make run` starts by default: replicas, a canary, the limits of the edge; and the story on them."""

import io
from collections import Counter

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from chassis.testing import eventually
from fleet.client import RpcEdge, Session
from fleet.demo.stage import Stage
from fleet.demo.story import play
from fleet.services import SERVICES
from fleet.testing.running import ONE_OF_EACH, running_fleet
from greenledger.control.v1 import control_pb2, traffic_pb2

pytestmark = pytest.mark.slow

CALLS = 20
BY_HEADER = traffic_pb2.HeaderRoute(header="x-version", value="v2", version="v2")


async def test_the_story_is_played_on_replicas_and_a_canary_that_are_steered_at_run_time() -> None:
    with running_fleet(dict.fromkeys(ONE_OF_EACH, "")) as fleet:
        await play(Stage(Console(file=io.StringIO())), fleet.edge_url, fleet.operator)
        async with RpcEdge(fleet.edge_url) as edge, httpx.AsyncClient(trust_env=False) as http:
            operator = await Session.open(edge, fleet.operator)
            everybody = control_pb2.ListInstancesRequest(page_size=100)
            instances = (await edge.call(edge.registry.ListInstances, everybody, operator)).instances
            assert Counter((each.service, each.version) for each in instances) == {
                **{(spec.name, "v1"): spec.replicas for spec in SERVICES},
                ("crops", "v2"): 1,
            }
            assert {spec.name for spec in SERVICES if spec.replicas == 2} == {"control", "catalog", "orders"}
            assert {each.health for each in instances} == {control_pb2.INSTANCE_HEALTH_PASSING}
            # Of orders and crops, which are on rings, the few people of the story may all have the same one.
            for each in (each for each in instances if each.service in ("control", "catalog")):
                assert await _answered(http, each), f"{each.instance_id} was not called in the whole story"

            asked = traffic_pb2.GetTrafficPolicyRequest(service="crops")
            policy = await edge.call(edge.traffic.GetTrafficPolicy, asked, operator)
            assert {each.version: each.weight for each in policy.weights} == {"v1": 90, "v2": 10}
            policy.header_routes.append(BY_HEADER)
            change = traffic_pb2.SetTrafficPolicyRequest(
                service="crops", policy=policy, etag=policy.etag, why="try v2"
            )
            await edge.call(edge.traffic.SetTrafficPolicy, change, operator)
            crops = [each for each in instances if each.service == "crops"]
            headers = {"authorization": f"Bearer {await operator.bearer()}", "x-version": "v2"}

            async def counts() -> dict[str, float]:
                return {each.version: await _answered(http, each, "ListLots") for each in crops}

            async def arrived() -> bool:
                assert (await http.get(f"{fleet.edge_url}/api/crops", headers=headers)).is_success
                return (await counts())["v2"] > 0

            await eventually(arrived)
            before = await counts()
            for _ in range(CALLS):
                assert (await http.get(f"{fleet.edge_url}/api/crops", headers=headers)).is_success
            after = await counts()
    assert (after["v1"], after["v2"]) == (before["v1"], before["v2"] + CALLS)


async def _answered(http: httpx.AsyncClient, instance: control_pb2.Instance, method: str = "") -> float:
    """How many calls an instance has answered, health checks aside."""
    text = (await http.get(f"http://{instance.metadata['metrics']}/metrics")).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "grpc_server_handled_total"
        and sample.labels["grpc_service"].startswith("greenledger.")
        and method in ("", sample.labels["grpc_method"])
    )
