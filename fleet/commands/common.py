"""What the subcommands share: their common options and how a failure is shown."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from fleet.errors import FleetError
from fleet.report import print_failure
from fleet.settings import FleetSettings

StateDir = Annotated[
    Path | None,
    typer.Option("--state-dir", help="Folder of all state, else GREENLEDGER_STATE_DIR, else .greenledger."),
]
EdgePort = Annotated[
    int | None,
    typer.Option("--edge-port", help="Port of the public edge, else GREENLEDGER_EDGE_PORT, else 8080."),
]


def settings_from(
    state_dir: Path | None, edge_port: int | None = None, replicas: int | None = None
) -> FleetSettings:
    """Settings from the environment, overridden by the command's options."""
    return FleetSettings.from_environment(
        os.environ, edge_port=edge_port, state_dir=state_dir, replicas=replicas
    )


@contextlib.contextmanager
def failures_as_sentences(console: Console | None = None) -> Iterator[None]:
    """Show a FleetError as its sentence and exit with status 1."""
    try:
        yield
    except FleetError as error:
        print_failure(console or Console(stderr=True), error)
        raise typer.Exit(1) from None
