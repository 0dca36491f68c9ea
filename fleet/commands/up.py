"""`greenledger up`: start the fleet."""

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Annotated

import typer
from rich.console import Console

from fleet.commands.common import EdgePort, StateDir, failures_as_sentences, settings_from
from fleet.errors import FleetError
from fleet.process import tail
from fleet.progress import progress_for
from fleet.report import print_running
from fleet.settings import FleetSettings, process_environment
from fleet.state import FleetRecord, exclusive, read_record

DETACHED_START_LIMIT_S = 180.0


def up(
    detach: Annotated[
        bool, typer.Option("--detach", "-d", help="Return when everything is SERVING and keep it running.")
    ] = False,
    edge_port: EdgePort = None,
    state_dir: StateDir = None,
    only: Annotated[
        list[str] | None, typer.Option("--only", help="Start only this service (repeatable) and the servers.")
    ] = None,
    edge: Annotated[bool, typer.Option("--edge/--no-edge", help="Whether to start the public edge.")] = True,
    replicas: Annotated[
        int | None,
        typer.Option(
            "--replicas",
            min=1,
            help="Processes of each service, 1 without any canary; else GREENLEDGER_REPLICAS, else two of "
            "control, catalog and orders, and a canary of crops.",
        ),
    ] = None,
) -> None:
    """Start the embedded servers, migrate the databases, start every service and the edge.

    Ctrl-C drains everything and stops; a second Ctrl-C kills.
    """
    with failures_as_sentences():
        settings = settings_from(state_dir, edge_port, replicas)
        names = [name for entry in only or [] for name in entry.split(",") if name]
        if detach:
            start_detached(settings, names, edge=edge)
        else:
            _run_here(settings, names, edge=edge)


def _run_here(settings: FleetSettings, only: list[str], *, edge: bool) -> None:
    from fleet.supervisor import Supervisor  # noqa: PLC0415  (gRPC and asyncpg; `--help` must not wait for them)

    console = Console()
    with progress_for(console) as progress:

        async def run() -> None:
            supervisor = Supervisor(settings, progress, only=only, edge=edge)
            await supervisor.run(on_serving=lambda record: print_running(console, settings, record))

        asyncio.run(run())


def start_detached(settings: FleetSettings, only: list[str], *, edge: bool) -> None:
    """Start a fleet that outlives this command, and return when every part answers.

    Raises:
        FleetError: it did not come up.
    """
    settings.make_folders()
    with exclusive(settings):  # says so at once when a fleet runs already
        pass
    log_path = settings.log_path("supervisor")
    argv = [sys.executable, "-m", "fleet.cli", "up", "--state-dir", str(settings.state_dir)]
    argv += ["--edge-port", str(settings.edge_port), *(f"--only={name}" for name in only)]
    argv += [] if edge else ["--no-edge"]
    argv += ["--replicas", str(settings.replicas)] if settings.replicas else []
    with log_path.open("ab") as log:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=settings.project_root,
            env=process_environment(settings),
            start_new_session=True,
        )
    console = Console()
    try:
        record = wait_until_serving(settings, process.pid, lambda: process.poll() is None, console)
    except FleetError as error:
        if process.poll() is not None:
            raise
        process.terminate()
        raise FleetError(f"{error} It is being stopped.") from error
    print_running(console, settings, record)


def wait_until_serving(
    settings: FleetSettings, supervisor: int, runs: Callable[[], bool], console: Console
) -> FleetRecord:
    """Show how a fleet starts, and return when every part answers.

    Args:
        settings: where the fleet is.
        supervisor: pid of its supervisor.
        runs: whether that process still does.
        console: what to show it on.

    Raises:
        FleetError: it did not come up.
    """
    deadline = time.monotonic() + DETACHED_START_LIMIT_S
    said = 0
    with progress_for(console) as progress:
        while time.monotonic() < deadline:
            ended = not runs()
            record = read_record(settings)
            if record is not None and record.supervisor_pid == supervisor:
                for line in record.notices[said:]:
                    progress.say(line)
                said = len(record.notices)
                progress.show(record)
                if record.phase == "serving":
                    return record
            if ended:
                raise _why_not(settings, record, supervisor)
            time.sleep(0.1)
    raise FleetError(
        f"The fleet did not come up within {DETACHED_START_LIMIT_S:.0f} s: see {settings.logs_dir}."
    )


def _why_not(settings: FleetSettings, record: FleetRecord | None, pid: int) -> FleetError:
    if record is not None and record.supervisor_pid == pid and record.message:
        return FleetError(record.message, log_tail=record.log_tail)
    log_path = settings.log_path("supervisor")
    return FleetError(f"The supervisor ended too early: see {log_path}.", log_tail=tail(log_path))
