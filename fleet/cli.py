"""The `greenledger` command. Each subcommand is one file in `fleet/commands/`."""

import typer

from fleet.commands import demo, down, logs, migrate, recall, status, trace, up

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
app.command("migrate")(migrate.migrate)
app.command("logs")(logs.logs)


def main() -> None:
    """Entry point of `python -m fleet.cli`."""
    app()


if __name__ == "__main__":
    main()
