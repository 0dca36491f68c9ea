"""Declare an earlier event of a lot wrong."""

from collections.abc import Sequence

from chassis.clock import Clock
from chassis.context import Principal
from chassis.quantity import Quantity
from chassis.transactions import Transactions
from services.crops.application.attempts import ATTEMPTS, decided_anew
from services.crops.application.decisions import LotDecisions
from services.crops.application.epcis_ports import LotHistories
from services.crops.application.ports import Lots
from services.crops.application.recall_lot import RECALL_ANY
from services.crops.application.views import LotView
from services.crops.domain.correction import correct


class CorrectLot(LotDecisions):
    """The owner, an operator or who told it says what was wrong."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock, histories: LotHistories) -> None:
        super().__init__(transactions, lots, clock)
        self._histories = histories

    async def __call__(
        self,
        actor: Principal,
        lot_id: str,
        event_id: str,
        reason: str,
        corrective_event_ids: Sequence[str],
        quantity: Quantity | None,
        etag: str = "",
    ) -> LotView:
        """The lot with what it holds by the correction.

        Args:
            etag: the version that the caller has seen; needed with a quantity, else empty for any.

        Raises:
            Aborted: ETAG_MISMATCH; CONCURRENT_CHANGE.
            NotFound: LOT_NOT_FOUND; LOT_EVENT_NOT_FOUND.
            PermissionDenied, FailedPrecondition, InvalidArgument: as `domain.correction.correct`.
        """

        async def attempt() -> LotView:
            lot = await self._lots.load(lot_id)
            history = {fact.event_id: fact.event for fact in await self._histories.history(lot_id)}
            event = correct(
                lot,
                history=history,
                event_id=event_id,
                reason=reason,
                corrective_event_ids=corrective_event_ids,
                quantity=quantity,
                etag=etag,
                actor=actor.subject,
                is_operator=RECALL_ANY in actor.permissions,
                now=self._clock.now(),
            )
            [after] = await self._record([(lot, event)])
            return after

        # What was counted of one version is not said of another: such a correction is not decided anew.
        attempts = ATTEMPTS if quantity is None else 1
        return await decided_anew(self._transactions, attempt, attempts)
