"""What the recall saga does; `adapters.recall_saga` says in which order and how often."""

from collections import defaultdict
from uuid import UUID, uuid5

from chassis.clock import Clock
from chassis.transactions import Transactions
from services.crops.application.attempts import decided_anew
from services.crops.application.ports import Change, Lots
from services.crops.application.recall_ports import PAGE, Quarantine, Recall, Recorded
from services.crops.domain.recall import recall as decide


class RecallSteps:
    """The steps of one recall."""

    def __init__(self, transactions: Transactions, lots: Lots, quarantine: Quarantine, clock: Clock) -> None:
        self._transactions = transactions
        self._lots = lots
        self._quarantine = quarantine
        self._clock = clock

    async def record(self, recall_id: str, recall: Recall) -> Recorded:
        """Recall the lot and all that came of it in one transaction, also what is split off meanwhile.

        A split or transfer that commits first makes the append fail, since it extends a history that the
        recall extends too; the recall then looks again rather than give way.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: LOT_RECALLED, it is already.
            Aborted: CONCURRENT_CHANGE, others were faster every time.
        """
        return await decided_anew(self._transactions, lambda: self._record(recall_id, recall))

    async def quarantine(self, key: str, recall: Recall, recorded: Recorded) -> None:
        """Have inventory block the stock of all of them.

        Also what an earlier recall holds, in its name: that one may not have come to inventory yet, and this
        one must not be answered before.

        Raises:
            Unavailable, DeadlineExceeded: inventory does not answer.
        """
        for recall_id, lot_ids in recorded.held_by.items():
            for first in range(0, len(lot_ids), PAGE):
                page = lot_ids[first : first + PAGE]
                request_id = str(uuid5(UUID(key), f"{recall_id}/{first}"))
                await self._quarantine.block(request_id, recall_id, page, recall.reason)

    async def _record(self, recall_id: str, recall: Recall) -> Recorded:
        await self._lots.guard_recalls()
        root = await self._lots.load(recall.lot_id)
        descendants = await self._lots.descendants(recall.lot_id)
        recalled = decide(
            root,
            descendants,
            recall_id=recall_id,
            actor=recall.actor,
            is_operator=recall.is_operator,
            reason=recall.reason,
            recall_class=recall.recall_class,
            now=self._clock.now(),
        )
        await self._lots.save([Change(lot.lot_id, lot.version, (event,)) for lot, event in recalled])
        held_by: dict[str, list[str]] = defaultdict(list)
        for lot in (root, *descendants):
            held_by[lot.recall_id or recall_id].append(lot.lot_id)
        lot_ids = (root.lot_id, *(lot.lot_id for lot in descendants))
        return Recorded(root.version + 1, lot_ids, held_by)
