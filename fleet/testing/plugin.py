"""pytest fixture for a whole fleet; register with `pytest_plugins = ["fleet.testing.plugin"]`.

GREENLEDGER_TEST_FLEET names the state folder of a fleet that runs already; it is used and left running, which
saves its start while one test is being written.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.settings import FleetSettings
from fleet.state import read_record
from fleet.testing.running import RunningFleet, running_fleet


@pytest.fixture(scope="session")
def fleet() -> Iterator[RunningFleet]:
    """One fleet for the whole session; a test that kills or changes parts of it makes its own."""
    if state_dir := os.environ.get("GREENLEDGER_TEST_FLEET"):
        yield _attached(Path(state_dir))
        return
    with running_fleet() as running:
        yield running


def _attached(state_dir: Path) -> RunningFleet:
    record = read_record(FleetSettings(state_dir=state_dir))
    if record is None:
        raise FleetError(f"No fleet runs on {state_dir}: correct GREENLEDGER_TEST_FLEET or unset it.")
    return RunningFleet(FleetSettings(state_dir=state_dir, edge_port=record.edge_port))
