"""What control tells the edge: shares, header routes and limits, at run time; and what goes on without it."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest

from chassis.testing import eventually
from fleet.client import CallFailed
from greenledger.auth.v1 import auth_pb2
from greenledger.control.v1 import traffic_pb2
from tests.resilience.traffic.conftest import Steered

pytestmark = [pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(180)]
CONTROL = ("control", "control-2")
ALL_TO_V1 = traffic_pb2.VersionWeight(version="v1", weight=100)


@asynccontextmanager
async def under_load(steered: Steered) -> AsyncIterator[list[str]]:
    """Reads that go on until the block ends; those that failed are in the list."""
    failed: list[str] = []
    ending = asyncio.Event()
    made = 0

    async def read() -> None:
        nonlocal made
        while not ending.is_set():
            try:
                response = await steered.get()
                made += 1
                if response.status_code != httpx.codes.OK:
                    failed.append(response.text)
            except httpx.HTTPError as error:
                failed.append(repr(error))

    tasks = [asyncio.create_task(read()) for _ in range(4)]
    try:
        yield failed
    finally:
        ending.set()
        await asyncio.gather(*tasks)
    assert made > 50, "a load that makes no calls shows nothing"


async def test_shares_are_kept_and_shifted_while_calls_go_on(steered: Steered) -> None:
    await steered.shift(v1=90, v2=10)

    async def split() -> bool:
        assert set(await steered.answered_by(60)) == {"catalog", steered.newer}
        return True

    await eventually(split, 60)
    share = (await steered.answered_by(1000))[steered.newer]
    # Five standard deviations of a binomial distribution on each side.
    assert 52 <= share <= 148
    async with under_load(steered) as failed:
        await steered.shift(v2=100)

        async def moved() -> bool:
            assert await steered.answered_by(30) == {steered.newer: 30}
            return True

        await eventually(moved, 60)
    assert not failed


async def test_a_header_decides_whatever_the_shares_say(steered: Steered) -> None:
    policy = traffic_pb2.TrafficPolicy(
        weights=[ALL_TO_V1],
        header_routes=[
            traffic_pb2.HeaderRoute(header="x-version", value="v2", version="v2"),
            traffic_pb2.HeaderRoute(header="x-user-role", value="operator", version="v2"),
        ],
    )
    await steered.set_policy(policy)

    async def routed() -> bool:
        assert await steered.answered_by(20, **{"x-version": "v2"}) == {steered.newer: 20}
        return True

    await eventually(routed, 60)
    assert await steered.answered_by(50) == {"catalog": 50}
    assert await steered.answered_by(20, **{"x-version": "v22"}) == {"catalog": 20}
    token = {"authorization": f"Bearer {await steered.operator.bearer()}"}
    assert await steered.answered_by(20, **token) == {steered.newer: 20}
    assert await steered.answered_by(20, **{"x-user-role": "operator"}) == {"catalog": 20}


async def test_limits_change_at_once_and_hold_for_json_and_grpc(steered: Steered) -> None:
    await steered.set_limits(5, 5000)

    async def limited() -> bool:
        assert (await steered.get()).headers["ratelimit-limit"] == "5"
        return True

    await eventually(limited, 10, ignore=(KeyError, AssertionError))
    spoofed = [
        await steered.get(**{"x-forwarded-for": f"10.0.0.{n}", "x-user-id": f"u{n}"}) for n in range(6)
    ]
    assert spoofed[-1].status_code == 429
    assert int(spoofed[-1].headers["retry-after"]) > 1
    with pytest.raises(CallFailed) as refused:
        await steered.edge.call(steered.edge.auth.GetJwks, auth_pb2.GetJwksRequest())
    assert (refused.value.code, refused.value.reason) == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")
    token = {"authorization": f"Bearer {await steered.operator.bearer()}"}
    assert (await steered.get(**token)).headers["ratelimit-limit"] == "5000"


async def test_no_call_fails_while_both_of_control_are_dead_and_when_they_come_back(
    steered: Steered,
) -> None:
    live = steered.live
    async with under_load(steered) as failed:
        await asyncio.gather(*(live.kill(name) for name in CONTROL))
        assert (await steered.http.get("/healthz")).status_code == httpx.codes.OK
        assert sum((await steered.answered_by(100)).values()) == 100
        await asyncio.gather(*(live.start_service(name) for name in CONTROL))
        assert sum((await steered.answered_by(100)).values()) == 100
    assert not failed


async def test_an_edge_that_starts_while_control_is_away_opens_when_it_is_back(steered: Steered) -> None:
    live = steered.live
    await asyncio.gather(*(live.kill(name) for name in CONTROL))
    restarts = live.restarts("envoy")
    live.crash_server("envoy", signal.SIGKILL)
    await eventually(lambda: live.restarts("envoy") > restarts, 10)

    async def waiting() -> bool:
        admin = f"http://127.0.0.1:{live.settings.envoy_admin_port}/ready"
        assert (await steered.http.get(admin)).text.strip() == "PRE_INITIALIZING"
        return True

    await eventually(waiting, 10, ignore=(httpx.HTTPError, AssertionError))
    with pytest.raises(httpx.ConnectError):
        await steered.get()
    await live.start_service(CONTROL[0])

    async def open_again() -> bool:
        assert (await steered.get()).status_code == httpx.codes.OK
        return True

    await eventually(open_again, 30, ignore=(httpx.HTTPError, AssertionError))
