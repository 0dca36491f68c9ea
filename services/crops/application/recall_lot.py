"""Recall a lot and everything that came of it, and wait until none of it can be served."""

from uuid import UUID, uuid5

from chassis.clock import Clock
from chassis.context import Principal
from chassis.errors import (
    DeadlineExceeded,
    DomainError,
    FailedPrecondition,
    NotFound,
    PermissionDenied,
)
from chassis.saga import newest_attempt
from chassis.transactions import Transactions
from chassis.waiting import patience
from services.crops.application.ports import Lots
from services.crops.application.recall_ports import Recall, RecallProgress, Recalls
from services.crops.application.views import LotView
from services.crops.domain.events import RecallClass

RECALL_ANY = "crops.recall"
ATTEMPTS = 8
"""How often one request_id may be used to try again after a refusal; then the last refusal stands."""

_RECALLS = UUID("8e3f4a52-3f9d-5d0b-9a31-6f1f0c1f2d77")
_KINDS: dict[str, type[DomainError]] = {
    "LOT_NOT_FOUND": NotFound,
    "NOT_OWNER": PermissionDenied,
    "LOT_RECALLED": FailedPrecondition,
}


def recall_id_of(subject: str, request_id: str, attempt: int = 1) -> str:
    """The recall of a caller's request, and its saga: a repeated request finds it."""
    return str(uuid5(_RECALLS, f"{subject}/{request_id}/{attempt}"))


class RecallLot:
    """Starts the recall saga, or finds the one that the same request has started before.

    The answer means that the stock of all of it is blocked: no order is served from it afterwards. A request
    that was refused may be repeated and is then tried anew.
    """

    def __init__(self, transactions: Transactions, recalls: Recalls, lots: Lots, clock: Clock) -> None:
        self._transactions = transactions
        self._recalls = recalls
        self._lots = lots
        self._clock = clock

    async def __call__(
        self, actor: Principal, request_id: str, lot_id: str, reason: str, recall_class: RecallClass
    ) -> tuple[str, LotView, list[str]]:
        """The recall's id, the lot as it left it, and all lots that are recalled now, its own first.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: LOT_RECALLED, it is already.
            AlreadyExists: REQUEST_ID_REUSED.
            Unavailable: RECALL_FAILED, nothing has changed.
            DeadlineExceeded: RECALL_UNDER_WAY, the recall goes on; whether the stock is blocked is not
                known yet.
        """
        recall = Recall(lot_id, actor.subject, reason, recall_class, RECALL_ANY in actor.permissions)

        async def start(recall_id: str) -> RecallProgress:
            async with self._transactions.transaction():
                return await self._recalls.start(recall_id, recall)

        recall_id, progress = await newest_attempt(
            ATTEMPTS,
            lambda attempt: recall_id_of(actor.subject, request_id, attempt),
            start,
            lambda progress: progress.recall == recall,
            "The request_id was used for another recall.",
        )
        if progress.refusal is None and not progress.blocked:
            progress = await self._recalls.outcome(recall_id, patience(self._clock))
        lot, lot_ids = await self._answer(progress)
        return recall_id, lot, lot_ids

    async def _answer(self, progress: RecallProgress) -> tuple[LotView, list[str]]:
        lot_id, recorded = progress.recall.lot_id, progress.recorded
        if progress.refusal is not None:
            raise progress.refusal.error(
                _KINDS,
                "RECALL_FAILED",
                "The recall could not be recorded; nothing has changed.",
                ("lot", lot_id),
            )
        if recorded is None or not progress.blocked:
            raise DeadlineExceeded(
                "RECALL_UNDER_WAY",
                "The recall goes on; ask again with the same request_id whether the stock is blocked.",
                resource=("lot", lot_id),
            )
        lot = await self._lots.load(lot_id, at_version=recorded.version)
        return LotView.of(lot), list(recorded.lot_ids)
