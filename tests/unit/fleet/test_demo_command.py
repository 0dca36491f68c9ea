"""What `greenledger demo` does about a fleet that another command has begun to start."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console

from fleet.commands import demo, up
from fleet.errors import FleetError
from fleet.settings import FleetSettings
from fleet.state import FleetRecord, exclusive, write_record


@pytest.fixture
def settings(tmp_path: Path) -> FleetSettings:
    settings = FleetSettings(state_dir=tmp_path)
    settings.make_folders()
    return settings


def in_phase(phase: str, message: str = "", *, pid: int = 0) -> FleetRecord:
    return FleetRecord(pid or os.getpid(), phase, edge_port=1, started_at=0.0, message=message)


def meanwhile(patch: pytest.MonkeyPatch, *steps: Callable[[], None]) -> list[Callable[[], None]]:
    """Steps that come one by one, whenever the command waits; those that are left."""
    left = list(steps)
    patch.setattr(up.time, "sleep", lambda _seconds: left.pop(0)())
    return left


def ensure_running(settings: FleetSettings) -> bool:
    return demo._ensure_running(Console(quiet=True), settings)


def test_a_fleet_that_serves_is_used_at_once(
    settings: FleetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    meanwhile(monkeypatch)
    with exclusive(settings):
        write_record(settings, in_phase("serving"))
        assert ensure_running(settings) is False


def test_a_fleet_that_still_starts_is_waited_for(
    settings: FleetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    # As young as can be: its record is that of the fleet before it.
    write_record(settings, in_phase("serving", pid=1))
    left = meanwhile(
        monkeypatch,
        lambda: write_record(settings, in_phase("starting")),
        lambda: write_record(settings, in_phase("serving")),
    )
    with exclusive(settings):
        assert ensure_running(settings) is False
    assert left == []


def test_a_fleet_that_fails_to_start_says_why(
    settings: FleetSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    owned = exclusive(settings)
    owned.__enter__()

    def fail() -> None:
        write_record(settings, in_phase("failed", "PostgreSQL did not answer."))
        owned.__exit__(None, None, None)

    write_record(settings, in_phase("starting"))
    meanwhile(monkeypatch, fail)
    with pytest.raises(FleetError, match=r"PostgreSQL did not answer\."):
        ensure_running(settings)
