"""`greenledger verify`: check what the log handed out, with no server and no database."""

from pathlib import Path
from typing import Annotated

import typer

from chassis.merklelog.verify import FAILS, UNREADABLE, verify_file


def verify(
    file: Annotated[
        Path,
        typer.Argument(
            help="A receipt, bundle, export, history of keys or checkpoint, as `ledger` printed it."
        ),
    ],
    key: Annotated[
        list[str] | None,
        typer.Option("--key", help="The log's public key, <name>+<id>+<base64>, or a file with one a line."),
    ] = None,
) -> None:
    """Check offline that a file shows what it claims.

    Exits with status 0 when everything holds under a key that you named, 1 when something does not hold,
    2 when the file or a key cannot be read, and 3 when everything fits together but no key was named: then
    the file vouches for itself only.
    """
    verdict = verify_file(file, key or [])
    for sentence in verdict.sentences:
        typer.echo(sentence, err=verdict.status in {FAILS, UNREADABLE})
    raise typer.Exit(verdict.status)
