"""Deliver a part of a commitment as a lot of someone else's."""

from chassis.clock import Clock
from chassis.crashpoints import crashpoint, declare
from chassis.errors import FailedPrecondition
from chassis.ids import IdSource
from chassis.transactions import Transactions
from services.crops.application.attempts import decided_anew
from services.crops.application.commitments import ATTEMPTS
from services.crops.application.ports import Change, Lots
from services.crops.application.views import LotView
from services.crops.domain.delivery import Delivery, deliver, refused
from services.crops.domain.lot import evolve, replay

DELIVER_CRASHPOINTS = ("crops.deliver.recorded", "crops.deliver.committed")
"""Crash points: the delivery is written but its transaction is not committed; it is, but not answered."""
declare(*DELIVER_CRASHPOINTS)

_HANDED_OVER = 2  # a delivered lot is minted, and handed over unless it went back to its owner


class DeliverCommitted:
    """The same id always is the same delivery or refusal, whatever has become of either lot since."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock, ids: IdSource) -> None:
        self._transactions = transactions
        self._lots = lots
        self._clock = clock
        self._ids = ids

    async def __call__(self, lot_id: str, wanted: Delivery) -> tuple[LotView, LotView]:
        """The lot as it is now, and the delivered one as it was then.

        Raises:
            NotFound: LOT_NOT_FOUND, COMMITMENT_NOT_FOUND.
            PermissionDenied: COMMITMENT_OF_ANOTHER.
            FailedPrecondition: COMMITMENT_RELEASED, LOT_RECALLED, LOT_HELD, QUANTITY_EXCEEDED.
            InvalidArgument: QUANTITY_ZERO, UNIT_UNKNOWN, UNIT_MISMATCH, TRANSFER_TO_SELF.
            AlreadyExists: REQUEST_ID_REUSED, LOT_CODE_TAKEN.
            Aborted: CONCURRENT_CHANGE, others were faster every time.
        """
        answer = await decided_anew(self._transactions, lambda: self._once(lot_id, wanted), ATTEMPTS)
        crashpoint(DELIVER_CRASHPOINTS[1])
        if isinstance(answer, FailedPrecondition):
            raise answer
        return answer

    async def _once(self, lot_id: str, wanted: Delivery) -> tuple[LotView, LotView] | FailedPrecondition:
        lot, now = await self._lots.load(lot_id), self._clock.now()
        try:
            decided = deliver(lot, wanted, new_lot_id=self._ids.uuid7(), now=now)
        except FailedPrecondition as refusal:
            # Recorded, so that whoever is told may act on it: a late attempt will not deliver after all.
            if tombstone := refused(lot, wanted, refusal, now=now):
                await self._lots.save([Change(lot_id, lot.version, (tombstone,))])
                crashpoint(DELIVER_CRASHPOINTS[0])
            return refusal
        if decided is None:
            before = lot.deliveries[wanted.delivery_id]
            made = await self._lots.load(before.lot_id, 1)
            if made.owner_id != before.new_owner_id:
                made = await self._lots.load(before.lot_id, _HANDED_OVER)
            return LotView.of(lot), LotView.of(made)
        own, delivered = decided
        fresh = replay(delivered)
        assert fresh is not None
        await self._lots.save(
            [Change(lot_id, lot.version, tuple(own)), Change(fresh.lot_id, 0, tuple(delivered))]
        )
        crashpoint(DELIVER_CRASHPOINTS[0])
        for event in own:
            lot = evolve(lot, event)
        return LotView.of(lot), LotView.of(fresh)
