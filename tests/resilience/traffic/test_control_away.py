"""Control dies, comes back with nothing in memory, and without its database: callers find each other."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from chassis.testing import eventually
from fleet.client import CallFailed
from tests.resilience.traffic.conftest import CONTROLS, Steered
from tests.resilience.traffic.load import changes, reads, under_load, unrepeatable

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session"), pytest.mark.timeout(300)]
# Longer than any lease, health check and reload of a policy.
AWAY_S = 60.0


async def test_services_go_on_calling_each_other_while_both_of_control_are_dead_for_a_minute(
    steered: Steered,
) -> None:
    live, market = steered.live, steered.market
    names = [entry.name for entry in live.layout.instances]
    await steered.known(*names)
    kinds = {**reads(market), **changes(market), **unrepeatable(market)}
    del kinds["control"]
    async with under_load(kinds) as load:
        await load.each_again()
        await asyncio.gather(*(live.kill(name) for name in CONTROLS))
        await load.lasts(AWAY_S)
        await asyncio.gather(*(live.start_service(name) for name in CONTROLS))
        await load.each_again(5)
        await steered.known(*names)
        await load.each_again()
    assert not load.failed, load.story


async def test_control_without_its_database_starts_from_its_snapshot_and_tells_everybody(
    steered: Steered,
) -> None:
    live, market = steered.live, steered.market
    names = [entry.name for entry in live.layout.instances]
    await steered.known(*names)
    async with under_load(changes(market)) as load:
        await load.each_again()
        await asyncio.gather(*(live.kill(name) for name in CONTROLS))
        async with without_its_database(steered):
            await asyncio.gather(*(live.start_service(name) for name in CONTROLS))
            # Whoever starts now has no other source than these two.
            for name in ("orders", "orders-2", "inventory", "inventory-2"):
                await live.restart(name, how=signal.SIGTERM)
                await steered.known(name)
            await load.each_again()
            await steered.known(*names)
        await load.each_again()
    assert not load.failed, load.story


@asynccontextmanager
async def without_its_database(steered: Steered) -> AsyncIterator[None]:
    """Refuse every connection to control's database."""
    live = steered.live
    await live.fetch("orders", "ALTER DATABASE greenledger_control WITH ALLOW_CONNECTIONS false")
    try:
        await live.fetch(
            "orders",
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'greenledger_control'",
        )
        yield
    finally:
        await live.fetch("orders", "ALTER DATABASE greenledger_control WITH ALLOW_CONNECTIONS true")

        async def back() -> bool:
            await steered.shift()
            return True

        await eventually(back, 60, ignore=(CallFailed,))
