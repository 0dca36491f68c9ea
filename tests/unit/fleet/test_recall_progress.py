"""A recall's progress as people see it, and how long it is followed."""

import io
from collections.abc import AsyncIterator
from typing import Any

from rich.console import Console

from fleet.client import CallFailed
from fleet.recall_progress import follow, progress_view
from greenledger.trace.v1 import recall_pb2

RUNNING = recall_pb2.Recall(
    state=recall_pb2.RECALL_STATE_RUNNING,
    stalled=True,
    progress=[
        recall_pb2.RecallProgress(
            kind=recall_pb2.RECALL_ENTRY_KIND_STOCK, expected=1200, done=3, outstanding=1197, stalled=True
        ),
        recall_pb2.RecallProgress(kind=recall_pb2.RECALL_ENTRY_KIND_ORDER),
    ],
)
COMPLETE = recall_pb2.Recall(state=recall_pb2.RECALL_STATE_COMPLETE)


def shown(recall: recall_pb2.Recall) -> str:
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(progress_view(recall))
    return console.export_text()


def test_a_row_for_each_kind_of_which_there_is_something():
    text = shown(RUNNING)
    assert "The recall goes on. It stalls." in text
    assert "1,197  late" in text
    assert "orders stopped" not in text
    assert "is a drill: nothing is changed" in shown(recall_pb2.Recall(state=recall_pb2.RECALL_STATE_DRILL))


def test_every_kind_and_state_has_its_words():
    for kind in recall_pb2.RecallEntryKind.values()[1:]:
        shown(recall_pb2.Recall(progress=[recall_pb2.RecallProgress(kind=kind, expected=1)]))
    for state in recall_pb2.RecallState.values()[1:]:
        assert "is not known" not in shown(recall_pb2.Recall(state=state))


class Edge:
    """Streams that answer one after the other."""

    recalls: Any = type("Recalls", (), {"WatchRecall": None})

    def __init__(self, *streams: list[Any]) -> None:
        self._streams = list(streams)

    async def watch(self, *_: Any) -> AsyncIterator[recall_pb2.WatchRecallResponse]:
        for told in self._streams.pop(0) if self._streams else []:
            if isinstance(told, Exception):
                raise told
            yield told


UNKNOWN = CallFailed("NOT_FOUND", "RECALL_NOT_FOUND", "no such recall")
STEP = recall_pb2.WatchRecallResponse(recall=RUNNING)
END = recall_pb2.WatchRecallResponse(recall=COMPLETE, final=True)


async def test_a_recall_is_followed_to_its_end_also_when_trace_hears_of_it_late():
    seen: list[recall_pb2.Recall] = []
    edge: Any = Edge([UNKNOWN], [STEP], [STEP, END])
    session: Any = None
    assert await follow(edge, session, "r", seen.append, 10)
    assert seen == [RUNNING, RUNNING, COMPLETE]


async def test_a_recall_that_does_not_end_is_followed_no_longer_than_asked():
    edge: Any = Edge([STEP])
    session: Any = None
    assert not await follow(edge, session, "r", lambda _: None, 0.3)
