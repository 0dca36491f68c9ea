"""One world in one fleet for the tables of bad input."""

import asyncio

import pytest

from fleet.testing.running import RunningFleet
from tests.security.world import World, build


@pytest.fixture(scope="session")
def world(fleet: RunningFleet) -> World:
    """People and things in the session's fleet."""
    return asyncio.run(build(fleet))
