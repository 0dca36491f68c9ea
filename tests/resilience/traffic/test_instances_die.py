"""One process of every service dies, or stands still, under load: who notices, and what it costs callers."""

import asyncio
import signal
from collections import Counter

import pytest

from chassis.testing import eventually
from fleet.services import CONTROL
from tests.resilience.traffic.conftest import Steered
from tests.resilience.traffic.load import changes, reads, under_load, unrepeatable

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]
FROZEN = ("catalog", "inventory", "users")
# Control asks every 10 s and waits 3 s; whoever waits for an answer that does not come gives up after 3 s.
MOST_LOST = 5


@pytest.mark.parametrize("first", [True, False], ids=["the first of each", "the second of each"])
async def test_killed_processes_cost_the_calls_in_flight_on_them_that_nobody_may_repeat(
    steered: Steered, first: bool
) -> None:
    live, market = steered.live, steered.market
    await steered.known(*(entry.name for entry in live.layout.instances))
    killed = [
        entry.name
        for entry in live.layout.instances
        if entry.spec.name != CONTROL and (entry.name == entry.spec.name) is first
    ]
    risky = unrepeatable(market)
    async with under_load({**reads(market), **changes(market), **risky}) as load:
        await load.each_again()
        await asyncio.gather(*(live.kill(name) for name in killed))
        await load.each_again()
        await asyncio.gather(*(live.start_service(name) for name in killed))
        await steered.known(*killed)
        await load.each_again()
    lost = Counter(failure.partition(":")[0] for failure in load.failed)
    assert lost.keys() <= risky.keys(), load.story
    # One call of each kind is under way at a time.
    assert all(count == 1 for count in lost.values()), load.story


async def test_processes_that_stand_still_are_left_out_and_return(steered: Steered) -> None:
    live, market = steered.live, steered.market
    await steered.known(*(entry.name for entry in live.layout.instances))
    risky = unrepeatable(market)
    async with under_load({**reads(market), **changes(market), **risky}) as load:
        await load.each_again()
        for name in FROZEN:
            live.send(name, signal.SIGSTOP)
        try:

            async def left_out() -> bool:
                there, health = await steered.at_edge(), await steered.listed(CONTROL)
                assert not any(there.get(name) for name in FROZEN), there
                # First found critical, and removed once its lease has ended.
                assert {health.get(name, "REMOVED") for name in FROZEN} <= {"CRITICAL", "REMOVED"}, health
                return True

            await eventually(left_out, 60, ignore=(AssertionError, OSError))
            # Calls that were on their way by then have their answer after one more of each kind.
            await load.each_again(1)
            noticed = len(load.failed)
            await load.each_again()
            assert not load.failed[noticed:], load.story
        finally:
            for name in FROZEN:
                live.send(name, signal.SIGCONT)
        await steered.known(*FROZEN)
        answered = {name: await steered.counted(name, "grpc_server_handled_total") for name in FROZEN}
        await load.each_again()

        async def working_again() -> bool:
            for name in FROZEN:
                assert await steered.counted(name, "grpc_server_handled_total") > answered[name]
            return True

        await eventually(working_again, 60)
    lost = Counter(failure.partition(":")[0] for failure in load.failed)
    assert lost.keys() <= risky.keys(), load.story
    assert all(count <= MOST_LOST for count in lost.values()), load.story
