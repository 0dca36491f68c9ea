"""`greenledger trace`: a lot's journey and everything it reached."""

import asyncio
import json
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from fleet.commands.common import StateDir, failures_as_sentences, settings_from
from fleet.commands.remote import EdgeUrl, Email, Lot, PasswordFile, find_lot

if TYPE_CHECKING:
    from fleet.client import Credentials
    from greenledger.trace.v1 import trace_pb2


def trace(
    lot: Lot,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print JSON, with all that the lot reached.")
    ] = False,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Show where a lot came from, who owned it, where it lies, and the orders and guests it reached."""
    from fleet.operator import where_and_who  # noqa: PLC0415  (gRPC is slow to import)
    from fleet.trace_view import print_journey, print_scope  # noqa: PLC0415

    with failures_as_sentences():
        url, who = where_and_who(settings_from(state_dir), edge_url, email, password_file)
        journey, scope = asyncio.run(_ask(url, who, lot, everything=as_json))
    if as_json:
        print(json.dumps({"journey": _as_data(journey), "scope": _as_data(scope)}, indent=2))
        return
    console = Console()
    print_journey(console, journey)
    console.print()
    print_scope(console, scope)


async def _ask(
    url: str, who: "Credentials", lot: str, *, everything: bool
) -> "tuple[trace_pb2.LotTrace, trace_pb2.RecallScope]":
    from fleet.operator import as_operator  # noqa: PLC0415
    from fleet.recall_scope import summary, whole  # noqa: PLC0415
    from greenledger.trace.v1 import trace_pb2  # noqa: PLC0415

    async with as_operator(url, who) as (edge, session):
        lot_id = await find_lot(edge, session, lot)
        journey, scope = await asyncio.gather(
            edge.call(edge.trace.TraceLot, trace_pb2.TraceLotRequest(lot_id=lot_id), session),
            summary(edge, session, lot_id),
        )
        return journey, await whole(edge, session, scope) if everything else scope


def _as_data(message: Any) -> dict[str, Any]:
    from google.protobuf.json_format import MessageToDict  # noqa: PLC0415

    return dict(MessageToDict(message, always_print_fields_with_no_presence=True))
