"""`greenledger recall`: recall a lot and see whom it reached."""

import asyncio
import uuid
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from fleet.commands.common import StateDir, failures_as_sentences, settings_from
from fleet.commands.remote import EdgeUrl, Email, Lot, PasswordFile, find_lot

if TYPE_CHECKING:
    from fleet.client import Credentials, RpcEdge, Session
    from greenledger.crops.v1 import crops_pb2

ATTEMPTS = 4


class RecallClass(StrEnum):
    """Class of a recall (21 CFR 7.3(m)): I is a danger to health."""

    I = "I"  # noqa: E741  (the regulation's own name)
    II = "II"
    III = "III"


def recall(
    lot: Lot,
    reason: Annotated[str, typer.Option("--reason", help="Why, for example 'Potential Salmonella'.")] = "",
    recall_class: Annotated[
        RecallClass, typer.Option("--class", help="Class of the recall; I is a danger to health.")
    ] = RecallClass.I,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    drill: Annotated[
        bool, typer.Option("--drill", help="Only say what it would reach; change nothing and tell nobody.")
    ] = False,
    wait_s: Annotated[
        float, typer.Option("--wait", min=0, help="Seconds to follow it until everything is done.")
    ] = 30.0,
    edge_url: EdgeUrl = None,
    email: Email = None,
    password_file: PasswordFile = None,
    state_dir: StateDir = None,
) -> None:
    """Recall a lot and every lot made from it, and follow it until all is done; only operators can end it.

    Says what the lot reached and asks before it acts. Exits with status 1 when it is not confirmed.
    """
    from fleet.operator import where_and_who  # noqa: PLC0415  (gRPC is slow to import)

    if not drill and not reason:
        raise typer.BadParameter("A recall needs a reason; a drill does not.", param_hint="--reason")
    with failures_as_sentences():
        url, who = where_and_who(settings_from(state_dir), edge_url, email, password_file)
        if drill:
            asyncio.run(_drill(url, who, lot))
        else:
            asyncio.run(_recall(url, who, lot, reason, recall_class, yes=yes, wait_s=wait_s))


async def _drill(url: str, who: "Credentials", lot: str) -> None:
    from fleet.operator import as_operator  # noqa: PLC0415
    from fleet.recall_progress import drill, progress_view  # noqa: PLC0415
    from fleet.recall_scope import summary  # noqa: PLC0415
    from fleet.trace_view import print_scope  # noqa: PLC0415

    console = Console()
    async with as_operator(url, who) as (edge, session):
        lot_id = await find_lot(edge, session, lot)
        console.print(progress_view(await drill(edge, session, lot_id)))
        print_scope(console, await summary(edge, session, lot_id))


async def _recall(
    url: str,
    who: "Credentials",
    lot: str,
    reason: str,
    recall_class: RecallClass,
    *,
    yes: bool,
    wait_s: float,
) -> None:
    from fleet.operator import as_operator  # noqa: PLC0415
    from fleet.recall_scope import summary  # noqa: PLC0415
    from fleet.trace_view import print_scope, scope_summary  # noqa: PLC0415
    from greenledger.crops.v1 import crops_pb2  # noqa: PLC0415

    console = Console()
    async with as_operator(url, who) as (edge, session):
        lot_id = await find_lot(edge, session, lot)
        console.print(scope_summary(await summary(edge, session, lot_id)))
        if not yes:
            # No other task runs while the person thinks.
            typer.confirm(f"Recall it ({recall_class}, {reason!r})?", abort=True)
        request = crops_pb2.RecallLotRequest(
            request_id=str(uuid.uuid4()),
            lot_id=lot_id,
            reason=reason,
            recall_class=crops_pb2.RecallClass.Value(f"RECALL_CLASS_{recall_class}"),
        )
        accepted = await _accepted(console, edge, session, request)
        console.print(f"{len(accepted.recalled_lot_ids)} lots are recalled.", highlight=False)
        await _follow(console, edge, session, accepted.recall_id or lot_id, wait_s)
        print_scope(console, await summary(edge, session, lot_id))


async def _accepted(
    console: Console, edge: "RpcEdge", session: "Session", request: "crops_pb2.RecallLotRequest"
) -> "crops_pb2.RecallLotResponse":
    """The answer, once the stock is blocked; asks again while that takes longer than a call.

    Raises:
        CallFailed: it is refused, or inventory is away for several calls; the recall then goes on by itself.
    """
    from fleet.client import CallFailed  # noqa: PLC0415

    for _ in range(ATTEMPTS - 1):
        try:
            return await edge.call(edge.crops.RecallLot, request, session)
        except CallFailed as failure:
            if failure.reason != "RECALL_UNDER_WAY":
                raise
            console.print("The recall is recorded, its stock not blocked yet; asking again.")
    return await edge.call(edge.crops.RecallLot, request, session)


async def _follow(
    console: Console, edge: "RpcEdge", session: "Session", recall_id: str, wait_s: float
) -> None:
    from rich.live import Live  # noqa: PLC0415

    from fleet.recall_progress import follow, progress_view  # noqa: PLC0415

    with Live(console=console, auto_refresh=False) as live:
        ended = await follow(
            edge, session, recall_id, lambda recall: live.update(progress_view(recall), refresh=True), wait_s
        )
    if not ended:
        console.print("Something is outstanding; ask trace again: ListRecallEntries says what.")
