"""A server or a consumer dies while orders flow: nothing is lost, nothing takes effect twice."""

import asyncio
import signal
from collections.abc import Callable, Sequence

import pytest

from chassis.inbox.applier import INBOX_CRASHPOINTS
from chassis.outbox.relay import RELAY_CRASHPOINTS
from chassis.testing import eventually
from fleet.testing.live import LiveFleet
from tests.resilience.fleet import invariants
from tests.resilience.fleet.crashes import wait_for_its_death
from tests.resilience.fleet.market import Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

ORDERS, AT_ONCE = 24, 6


async def test_a_broker_that_is_wiped_while_orders_flow_is_filled_again(
    market: Market, live: LiveFleet
) -> None:
    restarts = live.restarts("broker")
    found = await _flow(market, lambda: live.crash_server("broker", signal.SIGKILL))
    assert set(found) == {"FULFILLED"}
    await eventually(lambda: live.restarts("broker") > restarts, 10)
    await invariants.check(live)
    await invariants.check_events(live, 60.0)


async def test_a_postgresql_that_crashes_while_orders_flow_loses_none(
    market: Market, live: LiveFleet
) -> None:
    restarts = live.restarts("postgres")
    found = await _flow(market, lambda: live.crash_server("postgres", signal.SIGQUIT))
    # A step that fails five times while the database is away turns its order back.
    assert set(found) <= {"FULFILLED", "CHECKOUT_FAILED"}
    assert live.restarts("postgres") > restarts
    assert await market.outcome(new_id()) == "FULFILLED"
    await invariants.check(live)
    await invariants.check_events(live, 60.0)


@pytest.mark.parametrize("point", INBOX_CRASHPOINTS)
async def test_consumers_killed_in_the_middle_of_a_batch_go_on_where_they_were(
    market: Market, live: LiveFleet, point: str
) -> None:
    # In good order this time, so that their group does not wait for the ones before.
    names = ("trace", "notifications", "crops")
    await asyncio.gather(*(live.restart(name, point, signal.SIGTERM) for name in names))
    found = await _flow(market)
    assert set(found) == {"FULFILLED"}
    for name in names:
        await wait_for_its_death(live, name)
    await live.revive()
    await invariants.check(live)
    await invariants.check_events(live, 60.0)


@pytest.mark.parametrize("point", RELAY_CRASHPOINTS)
async def test_a_relay_killed_with_events_in_hand_sends_them_all(
    market: Market, live: LiveFleet, point: str
) -> None:
    await live.restart("inventory", f"{point}@2")
    dead = asyncio.Event()

    async def order_until_it_dies() -> list[str]:
        # A relay that was slow to lead may send all that came meanwhile as one batch; the next is the second.
        found: list[str] = []
        while not dead.is_set():
            found += await _flow(market, orders=6)
        return found

    asking = asyncio.ensure_future(order_until_it_dies())
    await wait_for_its_death(live, "inventory")
    dead.set()
    await live.start_service("inventory")
    assert set(await asking) <= {"FULFILLED", "CHECKOUT_FAILED"}
    await invariants.check(live)
    await invariants.check_events(live, 60.0)


async def _flow(
    market: Market, disturb: Callable[[], None] = lambda: None, orders: int = ORDERS
) -> Sequence[str]:
    """Orders, some at a time, with a disturbance after a third of them; what became of each."""
    places, done = asyncio.Semaphore(AT_ONCE), 0

    async def one() -> str:
        nonlocal done
        async with places:
            outcome = await market.outcome(new_id())
            done += 1
            if done == orders // 3:
                disturb()
            return outcome

    return await asyncio.gather(*(one() for _ in range(orders)))
