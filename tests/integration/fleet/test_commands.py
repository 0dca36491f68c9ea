"""The `greenledger` command, as a person runs it, on a small project of its own."""

import asyncio
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from fleet.services import SERVICES
from fleet.settings import PROJECT_ROOT, FleetSettings

pytestmark = pytest.mark.slow


@dataclass
class CommandLine:
    settings: FleetSettings
    project: Path

    async def __call__(self, *arguments: str, succeeds: bool = True) -> str:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "fleet.cli", *arguments),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(
                    [str(self.project), str(PROJECT_ROOT), str(PROJECT_ROOT / "gen" / "python")]
                ),
                "GREENLEDGER_PROJECT_ROOT": str(self.project),
                "GREENLEDGER_STATE_DIR": str(self.settings.state_dir),
                "GREENLEDGER_EDGE_PORT": str(self.settings.edge_port),
                "COLUMNS": "200",
            },
        )
        output, _ = await process.communicate()
        text = output.decode()
        assert (process.returncode == 0) is succeeds, text
        return text


@pytest_asyncio.fixture
async def greenledger(
    make_settings: Callable[..., FleetSettings], tmp_path: Path
) -> AsyncIterator[CommandLine]:
    """The command with a project whose services are small but real gRPC processes."""
    project = tmp_path / "project"
    (project / "services").mkdir(parents=True)
    (project / "services" / "__init__.py").touch()
    for spec in SERVICES:
        folder = project / "services" / spec.name
        (folder / "migrations" / "versions").mkdir(parents=True)
        shutil.copy(Path(__file__).with_name("echo_service.py"), folder / "main.py")
        (folder / "migrations" / "versions" / "0001.py").write_text(
            "from alembic import op\nrevision = '0001'\ndown_revision = None\n"
            "def upgrade():\n    op.execute('CREATE TABLE thing ()')\n"
            "def downgrade():\n    op.execute('DROP TABLE thing')\n"
        )
    command = CommandLine(make_settings(), project)
    yield command
    await command("down")


async def test_a_detached_fleet_is_started_looked_at_and_stopped(greenledger: CommandLine) -> None:
    started = await greenledger("up", "--detach", "--no-edge", "--only", "grower", succeeds=False)
    assert "There is no service grower: choose from auth," in started

    started = await greenledger("up", "--detach", "--no-edge", "--only", "auth,orders")
    assert "All parts answer after" in started

    parts = {part["name"]: part for part in json.loads(await greenledger("status", "--json"))["parts"]}
    assert set(parts) == {"postgres", "broker", "valkey", "mailbox", "auth", "orders"}
    assert parts["orders"]["health"] == "SERVING"
    assert "orders" in await greenledger("status")

    assert "A fleet already runs on" in await greenledger("up", "--detach", succeeds=False)
    assert "orders         0001" in await greenledger("migrate", "--service", "orders")

    assert "Stopped after" in await greenledger("down")
    assert "orders orders v1 - drained" in await greenledger("logs", "orders")
    assert "No fleet runs on" in await greenledger("status", succeeds=False)


async def test_migrate_needs_no_running_fleet_and_goes_both_ways(greenledger: CommandLine) -> None:
    output = await greenledger("migrate")
    assert all(f"{spec.name:<14} 0001" in output for spec in SERVICES)
    assert "orders         base" in await greenledger("migrate", "--service", "orders", "--to", "base")
    assert "--to needs --service" in await greenledger("migrate", "--to", "base", succeeds=False)


async def test_a_detached_fleet_that_does_not_come_up_says_why(greenledger: CommandLine) -> None:
    (greenledger.project / "services" / "orders" / "main.py").write_text(
        "raise SystemExit('no stock of luck')\n"
    )
    output = await greenledger("up", "-d", "--no-edge", "--only", "orders", succeeds=False)
    assert "no stock of luck" in output
    assert "orders ended with exit code 1 while starting" in output


async def test_logs_of_an_unknown_part_are_refused_with_those_that_exist(greenledger: CommandLine) -> None:
    (greenledger.settings.logs_dir / "auth.log").write_text("hello\n")
    assert "choose from auth" in await greenledger("logs", "warehouse", succeeds=False)


async def test_logs_of_a_service_say_that_its_other_processes_have_their_own(
    greenledger: CommandLine,
) -> None:
    for name in ("orders", "orders-2", "auth"):
        (greenledger.settings.logs_dir / f"{name}.log").write_text(f"here is {name}\n")
    said = await greenledger("logs", "orders")
    assert "here is orders\n" in said
    assert "logs of their own: orders-2." in said
    assert "here is orders-2" in await greenledger("logs", "orders-2")
    assert "of their own" not in await greenledger("logs", "auth")
