"""Notice recalls that have come to a stand, so that nobody has to ask."""

from collections import Counter
from collections.abc import Mapping
from typing import Protocol

from chassis.clock import Clock
from services.trace.application.recall_ports import RecallRounds
from services.trace.application.recalls import Recalls
from services.trace.domain.recall import EntryKind, Recall, RecallState

MOST = 100
"""So many of the newest recalls that are not complete are looked at; each costs what it reached."""


class Alarm(Protocol):
    """Tells operators."""

    def stalled(self, recalls: Mapping[EntryKind, int]) -> None:
        """How many recalls are, by kind."""
        ...

    def begun_to_stall(self, recall: Recall, kind: EntryKind) -> None: ...


class FindStalledRecalls:
    """Looks at the recalls that go on; each is told of once for a kind while it stalls.

    One that is complete is looked at again when something was heard of it; and of all those one each time,
    since a service that is silent makes no news.
    """

    def __init__(self, recalls: Recalls, rounds: RecallRounds, alarm: Alarm, clock: Clock) -> None:
        self._recalls = recalls
        self._rounds = rounds
        self._alarm = alarm
        self._clock = clock
        self._known: set[tuple[str, EntryKind]] = set()

    async def __call__(self) -> None:
        """Look once."""
        found: set[tuple[str, EntryKind]] = set()
        for recall_id in await self._rounds.to_look_at(MOST):
            recall = await self._look(recall_id)
            for each in recall.progress:
                if each.stalled:
                    found.add((recall_id, each.kind))
                    if (recall_id, each.kind) not in self._known:
                        self._alarm.begun_to_stall(recall, each.kind)
        self._known = found
        counts = Counter(kind for _, kind in found)
        self._alarm.stalled({kind: counts[kind] for kind in EntryKind})

    async def _look(self, recall_id: str) -> Recall:
        heard = await self._rounds.heard(recall_id) or 0  # first: what is heard meanwhile is looked at again
        recall = await self._recalls.get(recall_id)
        complete = recall.state is RecallState.COMPLETE
        await self._rounds.settle(recall_id, heard, self._clock.now() if complete else None)
        return recall
