"""`greenledger status`: what runs, how it is, what it needs."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleet.commands.common import StateDir, failures_as_sentences, settings_from
from fleet.memory import proportional_bytes
from fleet.state import FleetRecord, require_running

if TYPE_CHECKING:
    from fleet.status import ComponentStatus

_MIB = 1024 * 1024


def status(
    state_dir: StateDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show every part's health, version, process, memory and lag.

    Exits with status 1 when no fleet runs, 2 when a part is not healthy.
    """
    from fleet.status import gather_status  # noqa: PLC0415  (gRPC is slow to import)

    with failures_as_sentences():
        record = require_running(settings_from(state_dir))
    rows = asyncio.run(gather_status(record))
    if as_json:
        print(json.dumps({"phase": record.phase, "parts": [_as_data(row) for row in rows]}, indent=2))
    else:
        _print_table(record, [_as_data(row) for row in rows])
    if not all(row.healthy for row in rows):
        raise typer.Exit(2)


def _as_data(row: "ComponentStatus") -> dict[str, object]:
    return {
        "name": row.record.name,
        "kind": row.record.kind,
        "health": row.health,
        "version": row.facts.version if row.facts else None,
        "address": row.record.address,
        "pid": row.record.pid,
        "restarts": row.record.restarts,
        "memory_bytes": row.memory_bytes,
        "outbox_lag_rows": row.facts.outbox_lag_rows if row.facts else None,
        "stuck_sagas": row.facts.stuck_sagas if row.facts else None,
        "detail": row.record.detail,
    }


def _print_table(record: FleetRecord, rows: list[dict[str, object]]) -> None:
    console = Console()
    table = Table(title=f"Fleet: {record.phase}, supervisor {record.supervisor_pid}", title_justify="left")
    headings = (
        "part",
        "health",
        "version",
        "address",
        "pid",
        "restarts",
        "MiB",
        "outbox lag",
        "stuck sagas",
    )
    for heading in headings:
        table.add_column(heading, no_wrap=True)
    total = proportional_bytes(record.supervisor_pid, descendants=False) or 0
    for row in rows:
        memory = row["memory_bytes"]
        total += memory if isinstance(memory, int) else 0
        good = row["health"] in ("SERVING", "serving")
        table.add_row(
            str(row["name"]),
            Text(str(row["health"]), style="green" if good else "bold red"),
            *(_cell(row[key]) for key in ("version", "address", "pid", "restarts")),
            f"{memory / _MIB:.0f}" if isinstance(memory, int) else "-",
            *(_cell(row[key]) for key in ("outbox_lag_rows", "stuck_sagas")),
        )
    console.print(table)
    console.print(f"Memory of all parts and the supervisor (PSS): {total / _MIB:.0f} MiB", highlight=False)
    for row in rows:
        if row["detail"]:
            console.print(Text(f"{row['name']}: {row['detail']}"), soft_wrap=True)


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
