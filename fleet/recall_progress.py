"""A recall as it goes: followed until it is done, and shown to people at a terminal."""

import asyncio
from collections.abc import Callable

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from fleet.client import CallFailed, RpcEdge, Session
from greenledger.trace.v1 import recall_pb2

_PAUSE_S = 0.1
WORDS = {
    recall_pb2.RECALL_ENTRY_KIND_LOT: "lots recalled",
    recall_pb2.RECALL_ENTRY_KIND_STOCK: "stock items in quarantine",
    recall_pb2.RECALL_ENTRY_KIND_MENU_ITEM: "menu items taken off",
    recall_pb2.RECALL_ENTRY_KIND_ORDER: "orders stopped or dealt with",
    recall_pb2.RECALL_ENTRY_KIND_REFUND: "orders refunded",
    recall_pb2.RECALL_ENTRY_KIND_GUEST: "guests told",
    recall_pb2.RECALL_ENTRY_KIND_VENUE: "venues told",
    recall_pb2.RECALL_ENTRY_KIND_HOLDER: "owners and growers told",
}
"""What has become of the entries of a kind that are done."""
_STATES = {
    recall_pb2.RECALL_STATE_RUNNING: ("goes on", "yellow"),
    recall_pb2.RECALL_STATE_COMPLETE: ("has reached everything", "green"),
    recall_pb2.RECALL_STATE_RELEASED: ("was ended", "green"),
    recall_pb2.RECALL_STATE_DRILL: ("is a drill: nothing is changed and nobody is told", "green"),
}


async def follow(
    edge: RpcEdge,
    session: Session,
    recall_id: str,
    show: Callable[[recall_pb2.Recall], None],
    limit_s: float,
) -> bool:
    """Show a recall whenever it has come further, until nothing is outstanding or the time is over.

    Args:
        recall_id: trace may hear of it a moment later.
        limit_s: seconds to follow it at most.

    Returns:
        Whether it has come to its end.

    Raises:
        CallFailed: it cannot be watched.
    """
    try:
        async with asyncio.timeout(limit_s):
            while True:
                if await _watched(edge, session, recall_id, show):
                    return True
                await asyncio.sleep(_PAUSE_S)
    except TimeoutError:
        return False


async def _watched(
    edge: RpcEdge, session: Session, recall_id: str, show: Callable[[recall_pb2.Recall], None]
) -> bool:
    request = recall_pb2.WatchRecallRequest(recall_id=recall_id)
    try:
        async for message in edge.watch(edge.recalls.WatchRecall, request, session):
            if message.HasField("recall"):
                show(message.recall)
            if message.final:
                return True
    except CallFailed as failure:
        if failure.reason != "RECALL_NOT_FOUND":
            raise
    return False


async def drill(edge: RpcEdge, session: Session, lot_id: str) -> recall_pb2.Recall:
    """What a recall of a lot would have to do."""
    return await edge.call(edge.recalls.DrillRecall, recall_pb2.DrillRecallRequest(lot_id=lot_id), session)


def progress_view(recall: recall_pb2.Recall) -> RenderableType:
    """A line with the state, and a row for each kind of which there is something."""
    words, style = _STATES.get(recall.state, ("is not known", "yellow"))
    stalls = Text(" It stalls.", style="bold red") if recall.stalled else Text("")
    table = Table("", "expected", "done", "failed", "outstanding")
    for each in recall.progress:
        if each.expected:
            late = "  late" if each.stalled else ""
            numbers = (each.expected, each.done, each.failed, each.outstanding)
            table.add_row(
                WORDS[each.kind], *(f"{number:,}" for number in numbers[:3]), f"{numbers[3]:,}{late}"
            )
    return Group(Text.assemble("The recall ", (words, style), ".", stalls), table)
