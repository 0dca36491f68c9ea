"""The table of what runs where, and what to try first."""

from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleet.errors import FleetError
from fleet.settings import FleetSettings
from fleet.state import FleetRecord


def print_running(console: Console, settings: FleetSettings, record: FleetRecord) -> None:
    """Say what runs where and what to try."""
    table = Table(title="GreenLedger", title_justify="left")
    for heading in ("part", "kind", "address", "process", "ready after"):
        table.add_column(heading, no_wrap=True)
    for entry in record.components:
        process = "external" if entry.external else str(entry.pid or "-")
        took = f"{entry.ready_after_s:.1f} s" if entry.ready_after_s is not None else ""
        table.add_row(entry.name, entry.kind, entry.address, process, took)
    console.print(table)
    if record.serving_after_s is not None:
        console.print(f"All parts answer after {record.serving_after_s:.1f} s.", highlight=False)
    for line in hints(settings):
        console.print(Text(line), soft_wrap=True)


def hints(settings: FleetSettings) -> list[str]:
    """What a person would try next."""
    return [
        "",
        f"  Edge             {settings.edge_url}   (HTTP/JSON, gRPC and gRPC-Web on one port)",
        f"  API description  {settings.edge_url}/docs",
        f"  Operator         {settings.secrets_dir / 'operator.json'}   (e-mail and password)",
        f"  Logs             {settings.logs_dir}   (greenledger logs SERVICE)",
        "  Next             greenledger demo · greenledger status · greenledger down",
        "",
    ]


def print_failure(console: Console, error: FleetError) -> None:
    """One clear sentence, and below it the lines of the log that explain it."""
    if error.log_tail:
        console.print(Text(error.log_tail, style="dim"))
    console.print(Text(error.sentence, style="bold red"), soft_wrap=True)
