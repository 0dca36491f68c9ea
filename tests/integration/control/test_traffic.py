"""Policies are changed, refused, told and remembered."""

from datetime import timedelta
from pathlib import Path

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from chassis.testing.eventually import eventually
from greenledger.control.v1 import control_pb2, events_pb2
from greenledger.control.v1 import traffic_pb2 as pb
from interceptors.testing import reason
from services.auth.domain.roles import scopes_of
from services.control.adapters.settings import ControlSettings
from services.control.application.watching import WatchTimes
from tests.integration.control.conftest import SIGNER, Control, World

FILE = Path(__file__).parents[3] / "deploy" / "traffic.yaml"
CANARY = (("v1", 90), ("v2", 10))


async def shift(control: Control, *shares: tuple[str, int], service: str = "crops", etag: str = ""):
    weights = [pb.VersionWeight(version=version, weight=weight) for version, weight in shares]
    request = pb.ShiftTrafficRequest(service=service, weights=weights, etag=etag, why="try v2")
    return await control.traffic.ShiftTraffic(request, metadata=control.operator)


async def policy_of(control: Control, service: str = "crops") -> pb.TrafficPolicy:
    request = pb.GetTrafficPolicyRequest(service=service)
    return await control.traffic.GetTrafficPolicy(request, metadata=control.operator)


async def two_versions(control: Control) -> None:
    await control.register("crops", 9)
    await control.register("crops", 10, version="v2")


async def _roll_back(control: Control, version: int, **more: str) -> pb.TrafficPolicy:
    request = pb.RollbackTrafficPolicyRequest(service="crops", version=version, **more)
    return await control.traffic.RollbackTrafficPolicy(request, metadata=control.operator)


def shares_of(policy: pb.TrafficPolicy) -> tuple[tuple[str, int], ...]:
    return tuple((entry.version, entry.weight) for entry in policy.weights)


async def test_a_shift_changes_the_weights_and_nothing_else(control: Control):
    await two_versions(control)
    given = pb.TrafficPolicy(
        retries=pb.Retries(attempts=2),
        balancing=pb.Balancing(method=pb.BALANCING_METHOD_RING_HASH),
        timeout=Duration(seconds=1),
    )
    first = await control.traffic.SetTrafficPolicy(
        pb.SetTrafficPolicyRequest(service="crops", policy=given, why="carts"), metadata=control.operator
    )
    assert (first.version, first.updated_by, first.why) == (1, "olga", "carts")
    assert first.breaker.failure_percent == 50
    shifted = await shift(control, *CANARY, etag=first.etag)
    assert (shifted.version, shares_of(shifted), shifted.retries.attempts) == (2, CANARY, 2)
    assert shifted.balancing.method == pb.BALANCING_METHOD_RING_HASH
    assert await policy_of(control) == shifted
    (one, two) = await control.under_test.published("control.traffic-changed")
    told = events_pb2.TrafficPolicyChanged()
    assert two.payload.Unpack(told)
    assert (told.service, told.version, told.updated_by, told.why) == ("crops", 2, "olga", "try v2")
    assert one.aggregate_id == "crops"


@pytest.mark.parametrize(
    ("shares", "field"),
    [((("v1", 90), ("v3", 10)), "weights[1].version"), ((("v1", 90),), "policy.weights")],
)
async def test_weights_that_would_send_calls_nowhere_are_refused(control: Control, shares, field):
    await two_versions(control)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await shift(control, *shares)
    assert (error.value.code(), reason(error.value)) == (grpc.StatusCode.INVALID_ARGUMENT, "POLICY_INVALID")
    assert field in str(error.value.trailing_metadata())
    assert (await policy_of(control)).version == 0
    assert await control.under_test.published("control.traffic-changed") == []


async def test_when_a_canary_is_gone_everything_but_its_share_can_be_changed(control: Control):
    await two_versions(control)
    await shift(control, *CANARY)
    gone = control_pb2.DeregisterRequest(instance_id="crops-10")
    await control.registry.Deregister(gone, metadata=control.operator)
    changed = await policy_of(control)
    changed.timeout.FromSeconds(2)
    request = pb.SetTrafficPolicyRequest(service="crops", policy=changed)
    assert (await control.traffic.SetTrafficPolicy(request, metadata=control.operator)).version == 2
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await shift(control, ("v1", 0), ("v2", 100))
    assert reason(error.value) == "POLICY_INVALID"
    assert shares_of(await shift(control, ("v1", 100))) == (("v1", 100),)


async def test_a_header_that_leads_to_a_version_that_nobody_runs_is_refused(control: Control):
    await two_versions(control)
    route = pb.HeaderRoute(header="x-version", value="v3", version="v3")
    request = pb.SetTrafficPolicyRequest(service="crops", policy=pb.TrafficPolicy(header_routes=[route]))
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await control.traffic.SetTrafficPolicy(request, metadata=control.operator)
    assert reason(error.value) == "POLICY_INVALID"


@pytest.mark.parametrize(
    "policy",
    [
        pb.TrafficPolicy(retries=pb.Retries(attempts=6)),
        pb.TrafficPolicy(header_routes=[pb.HeaderRoute(header="cookie", value="a", version="v1")]),
        pb.TrafficPolicy(timeout=Duration(seconds=-1)),
    ],
)
async def test_what_the_contract_forbids_is_refused_before_it_is_stored(control: Control, policy):
    await two_versions(control)
    request = pb.SetTrafficPolicyRequest(service="crops", policy=policy)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await control.traffic.SetTrafficPolicy(request, metadata=control.operator)
    assert reason(error.value) == "VALIDATION_FAILED"


async def test_a_policy_of_another_service_or_of_none_is_refused(control: Control):
    await two_versions(control)
    for service, named in (("crops", "orders"), ("corps", ""), ("edge", "")):
        request = pb.SetTrafficPolicyRequest(service=service, policy=pb.TrafficPolicy(service=named))
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await control.traffic.SetTrafficPolicy(request, metadata=control.operator)
        assert reason(error.value) == "POLICY_INVALID"
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await policy_of(control, "corps")
    assert (error.value.code(), reason(error.value)) == (grpc.StatusCode.NOT_FOUND, "POLICY_NOT_FOUND")


async def test_an_etag_that_is_not_the_newest_loses(control: Control):
    await two_versions(control)
    seen = (await policy_of(control)).etag
    await shift(control, *CANARY, etag=seen)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await shift(control, ("v1", 50), ("v2", 50), etag=seen)
    assert (error.value.code(), reason(error.value)) == (grpc.StatusCode.ABORTED, "ETAG_MISMATCH")
    assert shares_of(await policy_of(control)) == CANARY


async def test_a_reset_goes_back_to_the_file_and_the_history_keeps_all(world: World):
    control = await world.control(ControlSettings(traffic_file=FILE))
    original = await policy_of(control)
    assert (original.version, original.balancing.method) == (0, pb.BALANCING_METHOD_RING_HASH)
    await two_versions(control)
    await shift(control, *CANARY)
    request = pb.ResetTrafficPolicyRequest(service="crops", why="enough")
    back = await control.traffic.ResetTrafficPolicy(request, metadata=control.operator)
    assert (back.version, shares_of(back), back.why) == (2, (), "enough")
    assert back.balancing == original.balancing
    versions, token = [], ""
    while True:
        asked = pb.ListTrafficPolicyVersionsRequest(service="crops", page_size=1, page_token=token)
        page = await control.traffic.ListTrafficPolicyVersions(asked, metadata=control.operator)
        versions += [(entry.version, shares_of(entry)) for entry in page.policies]
        token = page.next_page_token
        if not token:
            break
    assert versions == [(2, ()), (1, CANARY)]


async def test_a_rollback_makes_an_earlier_policy_the_newest(control: Control):
    await two_versions(control)
    policies = [pb.TrafficPolicy(timeout=Duration(seconds=seconds)) for seconds in (1, 2)]
    for policy in policies:
        request = pb.SetTrafficPolicyRequest(service="crops", policy=policy)
        seen = await control.traffic.SetTrafficPolicy(request, metadata=control.operator)
    back = await _roll_back(control, 1, etag=seen.etag, why="too slow")
    assert (back.timeout.seconds, back.version, back.why, back.updated_by) == (1, 3, "too slow", "olga")
    assert await policy_of(control) == back
    events = await control.under_test.published("control.traffic-changed")
    assert len(events) == 3
    original = await _roll_back(control, 0)
    assert (original.timeout.seconds, original.version) == (3, 4)
    asked = pb.ListTrafficPolicyVersionsRequest(service="crops")
    listed = await control.traffic.ListTrafficPolicyVersions(asked, metadata=control.operator)
    assert [entry.timeout.seconds for entry in (*listed.policies, listed.original)] == [3, 1, 2, 1, 3]
    for version, etag, expected in ((9, "", "VERSION_NOT_FOUND"), (1, seen.etag, "ETAG_MISMATCH")):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await _roll_back(control, version, etag=etag)
        assert reason(error.value) == expected


async def test_a_policy_whose_version_is_gone_does_not_come_back(control: Control):
    await two_versions(control)
    await shift(control, *CANARY)
    await shift(control, ("v1", 100))
    gone = control_pb2.DeregisterRequest(instance_id="crops-10")
    await control.registry.Deregister(gone, metadata=control.operator)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await _roll_back(control, 1)
    assert reason(error.value) == "POLICY_INVALID"
    assert shares_of(await policy_of(control)) == (("v1", 100),)


async def test_limits_of_the_edge_are_rolled_back(control: Control):
    for requests in (50, 60):
        given = pb.EdgePolicy(anonymous=pb.RateLimit(requests=requests, per=Duration(seconds=60)))
        await control.traffic.SetEdgePolicy(pb.SetEdgePolicyRequest(policy=given), metadata=control.operator)
    request = pb.RollbackEdgePolicyRequest(version=1, etag="2", why="too many")
    back = await control.traffic.RollbackEdgePolicy(request, metadata=control.operator)
    assert (back.anonymous.requests, back.version, back.why) == (50, 3, "too many")
    request = pb.RollbackEdgePolicyRequest(version=0)
    back = await control.traffic.RollbackEdgePolicy(request, metadata=control.operator)
    assert (back.anonymous.requests, back.version) == (100, 4)
    asked = pb.ListEdgePolicyVersionsRequest(page_size=1)
    listed = await control.traffic.ListEdgePolicyVersions(asked, metadata=control.operator)
    assert (len(listed.policies), listed.original.anonymous.requests) == (1, 100)
    request = pb.RollbackEdgePolicyRequest(version=9)
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await control.traffic.RollbackEdgePolicy(request, metadata=control.operator)
    assert reason(error.value) == "VERSION_NOT_FOUND"


async def test_every_service_of_the_file_has_a_policy_that_can_be_listed(world: World):
    control = await world.control(ControlSettings(traffic_file=FILE))
    names, token = [], ""
    while True:
        asked = pb.ListTrafficPoliciesRequest(page_size=4, page_token=token)
        page = await control.traffic.ListTrafficPolicies(asked, metadata=control.operator)
        names += [entry.service for entry in page.policies]
        token = page.next_page_token
        if not token:
            break
    assert names == sorted(set(names))
    assert {"orders", "crops", "auth"} <= set(names)


async def test_the_limits_of_the_edge_are_changed_and_reset(control: Control):
    asked = pb.GetEdgePolicyRequest()
    before = await control.traffic.GetEdgePolicy(asked, metadata=control.operator)
    assert (before.anonymous.requests, before.authenticated.requests, before.version) == (100, 6000, 0)
    given = pb.EdgePolicy(anonymous=pb.RateLimit(requests=50, per=Duration(seconds=60)), shared=True)
    set_ = await control.traffic.SetEdgePolicy(
        pb.SetEdgePolicyRequest(policy=given, etag=before.etag), metadata=control.operator
    )
    assert (set_.anonymous.requests, set_.authenticated.requests, set_.shared, set_.version) == (
        50,
        6000,
        True,
        1,
    )
    assert await control.traffic.GetEdgePolicy(asked, metadata=control.operator) == set_
    (event,) = await control.under_test.published("control.traffic-changed")
    assert event.aggregate_id == "edge"
    back = await control.traffic.ResetEdgePolicy(pb.ResetEdgePolicyRequest(), metadata=control.operator)
    assert (back.anonymous, back.shared, back.version) == (before.anonymous, False, 2)


async def test_the_history_of_the_edges_limits_keeps_each_change_with_who_and_why(control: Control):
    async def change(why: str, requests: int) -> pb.EdgePolicy:
        given = pb.EdgePolicy(authenticated=pb.RateLimit(requests=requests, per=Duration(seconds=60)))
        asked = pb.SetEdgePolicyRequest(policy=given, why=why)
        return await control.traffic.SetEdgePolicy(asked, metadata=control.operator)

    made = [await change("a campaign", 9000), await change("it is over", 7000)]
    back = pb.ResetEdgePolicyRequest(why="as it was")
    made.append(await control.traffic.ResetEdgePolicy(back, metadata=control.operator))
    versions, token = [], ""
    while True:
        asked = pb.ListEdgePolicyVersionsRequest(page_size=2, page_token=token)
        page = await control.traffic.ListEdgePolicyVersions(asked, metadata=control.operator)
        assert len(page.policies) <= 2
        versions += page.policies
        token = page.next_page_token
        if not token:
            break
    assert versions == made[::-1]
    assert [(entry.version, entry.why) for entry in versions] == [
        (3, "as it was"),
        (2, "it is over"),
        (1, "a campaign"),
    ]
    assert all(entry.updated_by and entry.HasField("update_time") for entry in versions)


async def test_the_history_of_the_edge_is_for_those_who_may_read_traffic(control: Control):
    with pytest.raises(grpc.aio.AioRpcError) as error:
        await control.traffic.ListEdgePolicyVersions(
            pb.ListEdgePolicyVersionsRequest(), metadata=SIGNER.user("ann", "control.config.read")
        )
    assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED
    auditor = SIGNER.user("ann", "control.traffic.read")
    none = await control.traffic.ListEdgePolicyVersions(pb.ListEdgePolicyVersionsRequest(), metadata=auditor)
    assert not none.policies


async def test_a_watch_tells_the_policies_asked_for_and_each_change_of_them(world: World):
    control = await world.control(times=WatchTimes(heartbeat=timedelta(milliseconds=300)))
    await two_versions(control)
    watch = control.traffic.WatchTrafficPolicies(
        pb.WatchTrafficPoliciesRequest(services=["crops", "payments"]),
        metadata=SIGNER.service("orders", *scopes_of("orders")),
    )
    first = (await watch.read()).snapshot.policies
    assert [entry.service for entry in first] == ["crops", "payments"]
    assert all(entry.retries.attempts == 3 for entry in first)
    await shift(control, *CANARY)
    second = await watch.read()
    while second.WhichOneof("content") == "heartbeat":
        second = await watch.read()
    assert shares_of(second.snapshot.policies[0]) == CANARY
    assert (await watch.read()).WhichOneof("content") == "heartbeat"
    watch.cancel()


async def test_the_other_replica_tells_its_clients_of_a_change(world: World):
    one, two = await world.control(), await world.control()
    for replica in (one, two):
        await two_versions(replica)
    await shift(one, *CANARY)
    await eventually(lambda: _has(two, CANARY), 5)
    # Written through the other replica, it builds on what the first one wrote.
    seen = await policy_of(two)
    assert (await shift(two, ("v1", 100), etag=seen.etag)).version == 2
    await eventually(lambda: _has(one, (("v1", 100),)), 5)


async def test_only_operators_change_policies(control: Control):
    await two_versions(control)
    for caller in (SIGNER.service("crops", *scopes_of("crops")), SIGNER.user("ann", "control.traffic.read")):
        with pytest.raises(grpc.aio.AioRpcError) as error:
            await control.traffic.ShiftTraffic(pb.ShiftTrafficRequest(service="crops"), metadata=caller)
        assert error.value.code() == grpc.StatusCode.PERMISSION_DENIED


async def _has(control: Control, shares: tuple[tuple[str, int], ...]) -> bool:
    return shares_of(await policy_of(control)) == shares
