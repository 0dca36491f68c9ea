"""`greenledger logs`: what a part of the fleet wrote."""

import contextlib
import time
from pathlib import Path
from typing import Annotated

import typer

from fleet.commands.common import StateDir, failures_as_sentences, settings_from
from fleet.errors import FleetError
from fleet.process import tail
from fleet.settings import FleetSettings


def logs(
    service: Annotated[str, typer.Argument(help="A service or server: orders, postgres, envoy, ...")],
    lines: Annotated[int, typer.Option("--lines", "-n", min=1, help="How many of the last lines.")] = 50,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what is written.")] = False,
    state_dir: StateDir = None,
) -> None:
    """Print the last lines of a part's log, from a running or a stopped fleet.

    Each process of a service has a log of its own: orders, orders-2, crops-canary.
    """
    with failures_as_sentences():
        path = _log_of(settings_from(state_dir), service)
    print(tail(path, lines))
    if others := sorted(other.stem for other in path.parent.glob(f"{service}-*.log")):
        typer.echo(f"Other processes of {service} have logs of their own: {', '.join(others)}.", err=True)
    if follow:
        with contextlib.suppress(KeyboardInterrupt):
            _follow(path)


def _log_of(settings: FleetSettings, service: str) -> Path:
    known = sorted(path.stem for path in settings.logs_dir.glob("*.log"))
    if service in known:
        return settings.log_path(service)
    if not known:
        raise FleetError(f"There are no logs in {settings.logs_dir}: start a fleet with `greenledger up`.")
    raise FleetError(f"There is no log of {service!r}: choose from {', '.join(known)}.")


def _follow(path: Path) -> None:
    with path.open(errors="replace") as file:
        file.seek(0, 2)
        while True:
            if line := file.readline():
                print(line, end="", flush=True)
            else:
                time.sleep(0.2)
