"""Every test starts its own real servers under a folder of its own."""

import itertools
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from fleet.settings import FleetSettings
from fleet.testing.ports import free_edge_port


@pytest.fixture
def make_settings() -> Iterator[Callable[..., FleetSettings]]:
    """Makes settings with a state folder and ports that nobody else uses."""
    names = itertools.count(1)
    # Not under pytest's own folder, which is closed to the user that PostgreSQL runs as for root.
    folder = Path(tempfile.mkdtemp(prefix="greenledger-fleet-"))
    folder.chmod(0o755)

    def make(**changes: object) -> FleetSettings:
        state_dir = folder / f"state-{next(names)}"
        settings = FleetSettings(state_dir=state_dir, **{"edge_port": free_edge_port(), **changes})
        settings.make_folders()
        return settings

    yield make
    shutil.rmtree(folder)


@pytest.fixture
def settings(make_settings: Callable[..., FleetSettings]) -> FleetSettings:
    return make_settings()
