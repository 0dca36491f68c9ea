"""Options of the commands that act through an edge, how they call it, and how they name a lot."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from fleet.commands.common import failures_as_sentences, settings_from
from fleet.errors import FleetError

if TYPE_CHECKING:
    from fleet.client import RpcEdge, Session

T = TypeVar("T")

EdgeUrl = Annotated[
    str | None,
    typer.Option("--edge-url", help="Edge of a remote fleet; default the fleet on this machine."),
]
Email = Annotated[str | None, typer.Option("--email", help="Who asks; default the fleet's first operator.")]
PasswordFile = Annotated[
    Path | None, typer.Option("--password-file", help="File that holds that person's password.")
]
Lot = Annotated[str, typer.Argument(help="A lot's id or its traceability lot code.")]

_MOST_CANDIDATES = 10


def at_edge(
    ask: "Callable[[RpcEdge, Session], Awaitable[T]]",
    edge_url: str | None,
    email: str | None,
    password_file: Path | None,
    state_dir: Path | None,
) -> T:
    """Do something at the edge as an operator; a failure is a sentence and status 1."""
    from fleet.operator import as_operator, where_and_who  # noqa: PLC0415  (gRPC is slow to import)

    async def run() -> T:
        async with as_operator(url, who) as (edge, session):
            return await ask(edge, session)

    with failures_as_sentences():
        url, who = where_and_who(settings_from(state_dir), edge_url, email, password_file)
        return asyncio.run(run())


async def find_lot(edge: "RpcEdge", session: "Session", lot: str) -> str:
    """The id of the lot that a person names by id or by lot code.

    Raises:
        FleetError: there is none, or several growers gave the code to lots of theirs.
        CallFailed: the edge refused to look.
    """
    from greenledger.crops.v1 import crops_pb2  # noqa: PLC0415  (`--help` must not wait for the stubs)

    try:
        return str(uuid.UUID(lot))
    except ValueError:
        pass
    request = crops_pb2.ListLotsRequest(lot_code=lot, page_size=_MOST_CANDIDATES)
    found = (await edge.call(edge.lots.ListLots, request, session)).lots
    if not found:
        raise FleetError(f"There is no lot with the code {lot!r}: give its id or its whole lot code.")
    if len(found) > 1:
        ids = ", ".join(entry.lot_id for entry in found)
        raise FleetError(f"Several growers gave a lot the code {lot!r}: name one by its id: {ids}.")
    return found[0].lot_id
