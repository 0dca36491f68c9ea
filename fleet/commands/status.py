"""`greenledger status`: what runs, how it is, what it needs."""

import asyncio
import json
import sys
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleet.commands.common import StateDir, failures_as_sentences, settings_from
from fleet.memory import proportional_bytes
from fleet.settings import FleetSettings
from fleet.state import FleetRecord, require_running

if TYPE_CHECKING:
    from fleet.status import ComponentStatus

_MIB = 1024 * 1024
_WAITING = {
    "outbox_lag_rows": "unsent",
    "consumer_lag": "unread",
    "parked_keys": "parked",
    "stuck_sagas": "stuck",
}


def status(
    state_dir: StateDir = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Show every part's health, version, process, memory and lag.

    Behind: events that the broker has not confirmed (unsent) or that are not applied yet (unread), keys
    whose events wait for an operator (parked), sagas that need one (stuck).

    Exits with status 1 when no fleet runs, 2 when a part is not healthy.
    """
    with failures_as_sentences():
        settings = settings_from(state_dir)
        record = require_running(settings)
    rows = asyncio.run(_gather(settings, record))
    if as_json:
        print(json.dumps({"phase": record.phase, "parts": [_as_data(row) for row in rows]}, indent=2))
    else:
        _print_table(record, [_as_data(row) for row in rows])
    if not all(row.healthy for row in rows):
        raise typer.Exit(2)


async def _gather(settings: FleetSettings, record: FleetRecord) -> "list[ComponentStatus]":
    from fleet.facts import facts_of  # noqa: PLC0415  (gRPC is slow to import)
    from fleet.status import gather_status  # noqa: PLC0415

    async with facts_of(settings, record) as facts:
        return await gather_status(record, facts)


def _as_data(row: "ComponentStatus") -> dict[str, object]:
    facts = row.facts
    return {
        "name": row.record.name,
        "kind": row.record.kind,
        "health": row.health,
        "version": facts.version if facts else None,
        "address": row.record.address,
        "pid": row.record.pid,
        "restarts": row.record.restarts,
        "memory_bytes": row.memory_bytes,
        "outbox_lag_rows": facts.outbox_lag_rows if facts else None,
        "consumer_lag": facts.consumer_lag if facts else None,
        "parked_keys": facts.parked_keys if facts else None,
        "stuck_sagas": facts.stuck_sagas if facts else None,
        "detail": row.record.detail,
    }


def _print_table(record: FleetRecord, rows: list[dict[str, object]]) -> None:
    # Where nobody looks, nothing is cut off either.
    console = Console(width=None if sys.stdout.isatty() else 140)
    table = Table(title=f"Fleet: {record.phase}, supervisor {record.supervisor_pid}", title_justify="left")
    for heading in ("part", "health", "version", "address", "pid", "restarts", "MiB", "behind"):
        table.add_column(heading, no_wrap=heading != "behind")
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
            _behind(row),
        )
    console.print(table)
    console.print(f"Memory of all parts and the supervisor (PSS): {total / _MIB:.0f} MiB", highlight=False)
    for row in rows:
        if row["detail"]:
            console.print(Text(f"{row['name']}: {row['detail']}"), soft_wrap=True)


def _behind(row: dict[str, object]) -> Text:
    """What waits in a service: for the broker, for itself, or for an operator."""
    if row["outbox_lag_rows"] is None:
        return Text("-")
    words = {key: word for key, word in _WAITING.items() if row[key]}
    style = "yellow" if words.keys() & {"parked_keys", "stuck_sagas"} else ""
    return Text(", ".join(f"{row[key]} {word}" for key, word in words.items()) or "nothing", style=style)


def _cell(value: object) -> str:
    return "-" if value is None else str(value)
