"""Stalled recalls as a metric and in the log."""

from collections.abc import Mapping

import structlog
from prometheus_client import Gauge

from services.trace.domain.recall import EntryKind, Recall

STALLED = Gauge("recall_stalled", "Recalls of which something is outstanding beyond its deadline.", ["kind"])
_log = structlog.get_logger(__name__)


class RecallAlarm:
    """Implements `Alarm`."""

    def stalled(self, recalls: Mapping[EntryKind, int]) -> None:
        for kind, count in recalls.items():
            STALLED.labels(kind.name.lower()).set(count)

    def begun_to_stall(self, recall: Recall, kind: EntryKind) -> None:
        count = next(each.count for each in recall.progress if each.kind is kind)
        _log.warning(
            "recall.stalled",
            recall_id=recall.call.recall_id,
            root_lot_id=recall.call.root_lot_id,
            kind=kind.name.lower(),
            outstanding=count.outstanding,
            expected=count.expected,
        )
