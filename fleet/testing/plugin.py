"""pytest fixture for a whole fleet; register with `pytest_plugins = ["fleet.testing.plugin"]`."""

from collections.abc import Iterator

import pytest

from fleet.testing.running import RunningFleet, running_fleet


@pytest.fixture(scope="session")
def fleet() -> Iterator[RunningFleet]:
    """One fleet for the whole session; a test that kills or changes parts of it makes its own."""
    with running_fleet() as running:
        yield running
