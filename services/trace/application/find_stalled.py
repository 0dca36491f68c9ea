"""Notice recalls that have come to a stand, so that nobody has to ask."""

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from services.trace.application.recalls import Recalls
from services.trace.domain.recall import EntryKind, Recall

MOST = 100
"""So many of the newest recalls that were not ended are looked at; each costs what it reached."""


class Alarm(Protocol):
    """Tells operators."""

    def stalled(self, recalls: Mapping[EntryKind, int]) -> None:
        """How many recalls are, by kind."""
        ...

    def begun_to_stall(self, recall: Recall, kind: EntryKind) -> None: ...


class FindStalledRecalls:
    """Looks at the recalls that go on; each is told of once for a kind while it stalls."""

    def __init__(self, recalls: Recalls, alarm: Alarm) -> None:
        self._recalls = recalls
        self._alarm = alarm
        self._known: set[tuple[str, EntryKind]] = set()

    async def __call__(self) -> None:
        """Look once."""
        found: set[tuple[str, EntryKind]] = set()
        for listed in await self._recalls.page(None, True, None, MOST):
            recall = await self._recalls.get(listed.call.recall_id)
            for each in recall.progress:
                if each.stalled:
                    found.add((recall.call.recall_id, each.kind))
                    if (recall.call.recall_id, each.kind) not in self._known:
                        self._alarm.begun_to_stall(recall, each.kind)
        self._known = found
        counts = Counter(kind for _, kind in found)
        self._alarm.stalled({kind: counts[kind] for kind in EntryKind})
