"""`greenledger keys rotate-authority` where no fleet runs."""

import os
from pathlib import Path

from typer.testing import CliRunner

from fleet.cli import app
from fleet.settings import FleetSettings
from fleet.state import FleetRecord, exclusive, write_record
from fleet.trust import Authority


def run(state: Path, *options: str) -> tuple[int, str]:
    done = CliRunner().invoke(app, ["keys", "rotate-authority", "--state-dir", str(state), *options])
    return done.exit_code, done.output


def test_the_change_is_begun_and_left_to_the_fleet(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    authority.ensure({"orders": ()})
    before = authority.state().signing
    assert run(tmp_path, "--yes") == (
        0,
        "A new authority is announced; the fleet goes over to it when it runs with mutual TLS.\n",
    )
    assert authority.state().signing == before
    assert len(authority.state().trusted) == 2


def test_without_an_authority_it_says_how_to_get_one(tmp_path: Path) -> None:
    code, said = run(tmp_path, "--yes")
    assert code == 1
    assert "GREENLEDGER_MTLS=on" in said
    assert not (tmp_path / "tls").exists()


def test_a_fleet_without_mutual_tls_is_asked_for_no_change(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")  # of a fleet that once ran with it
    authority.ensure({"orders": ()})
    settings = FleetSettings.from_environment({}, state_dir=tmp_path)
    settings.run_dir.mkdir()
    with exclusive(settings):
        write_record(settings, FleetRecord(os.getpid(), "serving", edge_port=1, started_at=0.0))
        code, said = run(tmp_path, "--yes")
    assert code == 1
    assert "runs without mutual TLS" in said
    assert authority.state().settled


def test_nothing_is_done_without_a_yes(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "tls")
    authority.ensure({"orders": ()})
    assert run(tmp_path)[0] != 0
    assert authority.state().settled
