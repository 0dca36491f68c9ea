"""`greenledger migrate`: bring databases to the newest or to a given revision."""

import asyncio
from typing import Annotated

import typer
from rich.console import Console

from fleet.commands.common import StateDir, failures_as_sentences, settings_from
from fleet.errors import FleetError


def migrate(
    service: Annotated[str | None, typer.Option("--service", help="Only this service; default all.")] = None,
    to: Annotated[
        str | None,
        typer.Option("--to", help="Revision to go to, `base` for none; needs --service. Default: newest."),
    ] = None,
    state_dir: StateDir = None,
) -> None:
    """Migrate the services' databases, forwards or backwards.

    Uses the PostgreSQL of the running fleet; starts it just for this when no fleet runs.
    """
    from fleet.migration import migrate_databases  # noqa: PLC0415  (database driver; `--help` must not wait)

    with failures_as_sentences():
        if to is not None and service is None:
            raise FleetError("--to needs --service: a revision belongs to one service's database.")
        revisions = asyncio.run(migrate_databases(settings_from(state_dir), service, to))
    for name, applied in revisions.items():
        Console().print(f"{name:<14} {', '.join(sorted(applied)) or 'base'}", highlight=False)
