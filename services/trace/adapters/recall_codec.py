"""Recalls as protobuf."""

from datetime import datetime
from typing import Any

from google.protobuf.duration_pb2 import Duration

from chassis.protobuf import money_to_proto, timestamp_to_proto
from greenledger.trace.v1 import recall_pb2 as pb
from services.trace.domain.recall import Entry, EntryKind, Progress, Recall


def kind_from_proto(kind: pb.RecallEntryKind.ValueType) -> EntryKind | None:
    """What to list; None for every kind."""
    return EntryKind(kind) if kind else None


def recall_to_proto(recall: Recall) -> pb.Recall:
    """A recall as the contract shows it."""
    call = recall.call
    return pb.Recall(
        recall_id=call.recall_id,
        root_lot_id=call.root_lot_id,
        recall_class=call.recall_class,
        reason=call.reason,
        state=pb.RecallState.Value(f"RECALL_STATE_{recall.state}"),
        progress=map(_progress, recall.progress),
        stalled=recall.stalled,
        refunded=map(money_to_proto, recall.refunded),
        begin_time=timestamp_to_proto(call.begun_at) if call.begun_at else None,
        release_time=timestamp_to_proto(call.released_at) if call.released_at else None,
    )


def entry_to_proto(entry: Entry) -> pb.RecallEntry:
    """One thing that a recall has to do."""
    return pb.RecallEntry(
        kind=pb.RecallEntryKind.Name(entry.kind),  # type: ignore[arg-type]
        entry_id=entry.entry_id,
        state=pb.RecallEntryState.Name(entry.state),  # type: ignore[arg-type]
        venue_id=entry.venue_id,
    )


def call_cursor(recall: Recall) -> dict[str, Any]:
    """A recall's place in the list of all."""
    begun = recall.call.begun_at
    return {"begun": begun.isoformat() if begun else "", "id": recall.call.recall_id}


def call_place(cursor: dict[str, Any] | None) -> tuple[datetime, str] | None:
    """The place that `call_cursor` wrote down."""
    return (datetime.fromisoformat(cursor["begun"]), cursor["id"]) if cursor else None


def entry_place(cursor: dict[str, Any] | None) -> tuple[EntryKind, str] | None:
    """The place of an entry out of a page token."""
    return (EntryKind(cursor["kind"]), cursor["id"]) if cursor else None


def _progress(progress: Progress) -> pb.RecallProgress:
    count, deadline = progress.count, Duration()
    deadline.FromTimedelta(progress.deadline)
    return pb.RecallProgress(
        kind=pb.RecallEntryKind.Name(progress.kind),  # type: ignore[arg-type]
        expected=count.expected,
        done=count.done,
        failed=count.failed,
        outstanding=count.outstanding,
        deadline=deadline,
        stalled=progress.stalled,
    )
