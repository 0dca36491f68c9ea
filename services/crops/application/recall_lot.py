"""Recall a lot and everything split from it."""

from chassis.clock import Clock
from chassis.context import Principal
from chassis.transactions import Transactions
from services.crops.application.attempts import decided_anew
from services.crops.application.ports import Change, Lots
from services.crops.application.views import LotView
from services.crops.domain.events import RecallClass
from services.crops.domain.lot import evolve
from services.crops.domain.recall import recall

RECALL_ANY = "crops.recall"


class RecallLot:
    """All in one transaction: no part is left out, also not one that is split off meanwhile.

    A split or transfer that commits first makes the append fail, since it extends a history that the
    recall extends too; the recall then looks again rather than give way.
    """

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock) -> None:
        self._transactions = transactions
        self._lots = lots
        self._clock = clock

    async def __call__(
        self, actor: Principal, lot_id: str, reason: str, recall_class: RecallClass
    ) -> tuple[LotView, list[str]]:
        """The lot, and the ids of all lots that are now recalled because of it, its own first.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: LOT_RECALLED, it is already.
            Aborted: CONCURRENT_CHANGE, others were faster every time.
        """
        return await decided_anew(
            self._transactions, lambda: self._recall(actor, lot_id, reason, recall_class)
        )

    async def _recall(
        self, actor: Principal, lot_id: str, reason: str, recall_class: RecallClass
    ) -> tuple[LotView, list[str]]:
        root = await self._lots.load(lot_id)
        descendants = await self._lots.descendants(lot_id)
        recalled = recall(
            root,
            descendants,
            actor=actor.subject,
            is_operator=RECALL_ANY in actor.permissions,
            reason=reason,
            recall_class=recall_class,
            now=self._clock.now(),
        )
        await self._lots.save([Change(lot.lot_id, lot.version, (event,)) for lot, event in recalled])
        _, event = recalled[0]
        return LotView.of(evolve(root, event)), [lot_id, *(lot.lot_id for lot in descendants)]
