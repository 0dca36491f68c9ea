"""One live fleet for the whole folder: its parts die and are started again, the fleet stays."""

from collections.abc import AsyncIterator

import pytest_asyncio

from fleet.testing.live import LiveFleet, live_fleet
from tests.resilience.fleet.market import Market


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def live_parts() -> AsyncIterator[LiveFleet]:
    """The fleet and nothing in it."""
    async with live_fleet() as live:
        yield live


@pytest_asyncio.fixture(scope="package", loop_scope="session")
async def open_market(live_parts: LiveFleet) -> Market:
    """People, a venue, goods in stock."""
    market = Market(live_parts)
    await market.open()
    return market


@pytest_asyncio.fixture(loop_scope="session")
async def market(open_market: Market) -> AsyncIterator[Market]:
    """The market with every service alive and unarmed, also after the test."""
    await open_market.live.revive()
    open_market.refusals.clear()
    yield open_market
    await open_market.live.revive()


@pytest_asyncio.fixture(loop_scope="session")
async def live(market: Market) -> LiveFleet:
    """The fleet under the market."""
    return market.live
