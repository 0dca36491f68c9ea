"""Options of the commands that act through an edge, and how they name a lot."""

import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fleet.errors import FleetError

if TYPE_CHECKING:
    from fleet.client import RpcEdge, Session

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
