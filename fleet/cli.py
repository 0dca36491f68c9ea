"""The `greenledger` command. Each subcommand or group of them is one file in `fleet/commands/`."""

import typer

from fleet.commands import (
    audit,
    config,
    demo,
    down,
    keys,
    ledger,
    logs,
    migrate,
    outbox,
    parked,
    projections,
    recall,
    sagas,
    services,
    status,
    trace,
    traffic,
    up,
    verify,
)

app = typer.Typer(
    name="greenledger",
    help="Run and inspect a GreenLedger fleet on this machine.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

app.command("up")(up.up)
app.command("down")(down.down)
app.command("status")(status.status)
app.command("demo")(demo.demo)
app.command("trace")(trace.trace)
app.command("recall")(recall.recall)
app.add_typer(ledger.app, name="ledger")
app.command("verify")(verify.verify)
app.command("migrate")(migrate.migrate)
app.command("logs")(logs.logs)
app.add_typer(parked.app, name="parked")
app.add_typer(outbox.app, name="outbox")
app.add_typer(projections.app, name="projections")
app.add_typer(sagas.app, name="sagas")
app.command("audit")(audit.audit)
app.command("services")(services.services)
app.add_typer(traffic.app, name="traffic")
app.add_typer(config.app, name="config")
app.add_typer(keys.app, name="keys")


def main() -> None:
    """Entry point of `python -m fleet.cli`."""
    app()


if __name__ == "__main__":
    main()
