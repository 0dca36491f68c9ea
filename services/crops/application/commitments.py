"""Set a quantity of a lot aside for what is made of it elsewhere, and take that back."""

from collections.abc import Callable

from chassis.clock import Clock
from chassis.context import Principal
from chassis.crashpoints import crashpoint, declare
from chassis.quantity import Quantity
from chassis.transactions import Transactions
from services.crops.application.attempts import decided_anew
from services.crops.application.ports import Change, Lots
from services.crops.application.views import LotView
from services.crops.domain.commitment import commit, release
from services.crops.domain.events import LotEvent
from services.crops.domain.lot import Commitment, Lot, evolve

ATTEMPTS = 10
"""How often a decision is made anew because another one came first; each time one of them gets through."""

COMMIT_CRASHPOINTS = ("crops.commit.recorded", "crops.commit.committed")
"""Crash points: the commitment is written but its transaction is not committed; it is, but not answered."""
RELEASE_CRASHPOINTS = ("crops.release.recorded", "crops.release.committed")
"""The same of taking it back."""
declare(*COMMIT_CRASHPOINTS, *RELEASE_CRASHPOINTS)


class _Decisions:
    """Decides on a lot and records that under the version which it was decided on."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock) -> None:
        self._transactions = transactions
        self._lots = lots
        self._clock = clock

    async def _decide(
        self, lot_id: str, decide: Callable[[Lot], LotEvent | None], points: tuple[str, str]
    ) -> Lot:
        recorded, committed = points

        async def attempt() -> tuple[Lot, LotEvent | None]:
            lot = await self._lots.load(lot_id)
            event = decide(lot)
            if event is not None:
                await self._lots.save([Change(lot_id, lot.version, (event,))])
                crashpoint(recorded)
            return lot, event

        lot, event = await decided_anew(self._transactions, attempt, ATTEMPTS)
        if event is None:
            return lot
        crashpoint(committed)
        return evolve(lot, event)


class CommitQuantity(_Decisions):
    """The same id always is the same commitment, whatever has become of the lot since."""

    async def __call__(
        self, lot_id: str, commitment_id: str, owner_id: str, wanted: Commitment
    ) -> tuple[LotView, Quantity]:
        """The lot, and what is committed in the lot's unit.

        Args:
            owner_id: on whose behalf; the caller has made sure that it is their wish.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: COMMITMENT_RELEASED, LOT_RECALLED, LOT_EXPIRED, TRANSFER_UNDER_WAY or
                QUANTITY_EXCEEDED.
            InvalidArgument: QUANTITY_ZERO, UNIT_UNKNOWN or UNIT_MISMATCH.
            AlreadyExists: REQUEST_ID_REUSED.
            Aborted: CONCURRENT_CHANGE, others were faster every time.
        """

        def decide(lot: Lot) -> LotEvent | None:
            return commit(lot, wanted, commitment_id=commitment_id, owner_id=owner_id, now=self._clock.now())

        lot = await self._decide(lot_id, decide, COMMIT_CRASHPOINTS)
        return LotView.of(lot), wanted.quantity.to(lot.quantity.unit)


class ReleaseQuantity(_Decisions):
    """Leaves a tombstone where no commitment is, so that one that arrives late is refused."""

    async def __call__(self, actor: Principal, lot_id: str, commitment_id: str) -> LotView:
        """The lot without the commitment.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: COMMITMENT_OF_ANOTHER.
            Aborted: CONCURRENT_CHANGE, others were faster every time.
        """

        def decide(lot: Lot) -> LotEvent | None:
            return release(lot, commitment_id=commitment_id, actor=actor.subject, now=self._clock.now())

        return LotView.of(await self._decide(lot_id, decide, RELEASE_CRASHPOINTS))
