"""What the commands have in common that act on the mechanisms of services."""

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from fleet.commands.common import failures_as_sentences, settings_from
from fleet.errors import FleetError
from fleet.report import print_failure

if TYPE_CHECKING:
    from google.protobuf.message import Message
    from google.protobuf.timestamp_pb2 import Timestamp

    from fleet.operator import ServiceOperations

T = TypeVar("T")
_LOOK_S = 0.2

Service = Annotated[str, typer.Argument(help="The service, e.g. orders.")]
OnlyService = Annotated[
    str | None, typer.Option("--service", help="Only this service; default all that run.")
]
Why = Annotated[str, typer.Option("--why", help="Your reason, for the audit.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
NoWait = Annotated[bool, typer.Option("--no-wait", help="Begin it, and do not wait for its end.")]


def group(help_text: str) -> typer.Typer:
    """A group of commands."""
    return typer.Typer(
        help=help_text,
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )


def operate(
    work: "Callable[[ServiceOperations], Awaitable[T]]",
    state_dir: Path | None,
    email: str | None,
    password_file: Path | None,
) -> T:
    """Do something with the services of the running fleet; a failure is a sentence and status 1."""
    from fleet.operator import service_operations  # noqa: PLC0415  (gRPC is slow to import)

    async def run() -> T:
        async with service_operations(settings_from(state_dir), email, password_file) as operations:
            return await work(operations)

    with failures_as_sentences():
        return asyncio.run(run())


async def of_each(
    operations: "ServiceOperations", only: str | None, ask: Callable[[str], Awaitable[T]]
) -> dict[str, T]:
    """The answers of one or of all services, by name; which of several gives none is told beside them.

    Raises:
        FleetError: the only one asked, or every one, gives none.
    """
    if only:
        return {only: await ask(only)}
    names = operations.services
    answers = await asyncio.gather(*(_or_failure(ask(name)) for name in names))
    given = {
        name: answer
        for name, answer in zip(names, answers, strict=True)
        if not isinstance(answer, FleetError)
    }
    failures = [answer for answer in answers if isinstance(answer, FleetError)]
    if failures and not given:
        raise failures[0]
    for failure in failures:
        print_failure(Console(stderr=True), failure)
    return given


async def _or_failure(answer: Awaitable[T]) -> T | FleetError:
    try:
        return await answer
    except FleetError as error:
        return error


def console() -> Console:
    """Where to print; what nobody looks at is not cut off."""
    return Console(width=None if sys.stdout.isatty() else 200)


def table(title: str, headings: Sequence[str], rows: Iterable[Sequence[object]], nothing: str) -> None:
    """Print rows under headings, or that there are none."""
    entries = list(rows)
    if not entries:
        say(nothing)
        return
    shown = Table(title=title, title_justify="left")
    for heading in headings:
        shown.add_column(heading, overflow="fold")
    for row in entries:
        shown.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
    console().print(shown)


def say(sentence: str) -> None:
    """Print one line as it is."""
    console().print(Text(sentence), soft_wrap=True)


def confirm(question: str, *, yes: bool) -> None:
    """Ask before something that cannot be undone; ends with status 1 when it is not confirmed.

    No other task runs while the person thinks.
    """
    if not yes:
        typer.confirm(question, abort=True)


def print_json(content: object) -> None:
    """Print data for programs."""
    print(json.dumps(content, indent=2))


def as_data(message: "Message") -> dict[str, Any]:
    """A message as JSON data."""
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    return dict(MessageToDict(message, always_print_fields_with_no_presence=True))


def when(time: "Timestamp") -> str:
    """A time for people, in UTC."""
    moment: datetime = time.ToDatetime()
    return f"{moment:%Y-%m-%d %H:%M:%S}Z"


async def follow(
    title: str, position: Callable[[], Awaitable[tuple[int, int, bool]]], if_interrupted: str
) -> None:
    """Show progress until the end of something that goes on without us.

    Args:
        position: (where it is, where it ends, whether it has ended).
        if_interrupted: what a person should know who stops looking.
    """
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed:.0f} of {task.total:.0f}"),
    )
    try:
        with Progress(*columns, TimeElapsedColumn(), console=console()) as progress:
            at, end, ended = await position()
            task = progress.add_task(title, completed=at, total=end)
            while not ended:
                await asyncio.sleep(_LOOK_S)
                at, end, ended = await position()
                progress.update(task, completed=at, total=end)
    except (KeyboardInterrupt, asyncio.CancelledError):
        say(if_interrupted)
        raise
