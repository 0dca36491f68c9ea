"""Take parts of a lot as new lots."""

from collections.abc import Sequence

from chassis.clock import Clock
from chassis.context import Principal
from chassis.ids import IdSource
from chassis.quantity import Quantity
from chassis.transactions import Transactions
from services.crops.application.ports import Change, Lots
from services.crops.application.views import LotView
from services.crops.domain.lot import evolve
from services.crops.domain.split import Part, split


class SplitLot:
    """Only the owner splits; what is not taken or is committed stays in the lot."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock, ids: IdSource) -> None:
        self._transactions = transactions
        self._lots = lots
        self._clock = clock
        self._ids = ids

    async def __call__(
        self, actor: Principal, lot_id: str, wanted: Sequence[tuple[str, Quantity]]
    ) -> tuple[LotView, list[LotView]]:
        """What is left of the lot, and the parts.

        Args:
            wanted: lot code and quantity of each part.

        Raises:
            NotFound: LOT_NOT_FOUND.
            PermissionDenied: NOT_OWNER.
            FailedPrecondition: LOT_RECALLED, LOT_EMPTY, TRANSFER_UNDER_WAY or QUANTITY_EXCEEDED.
            InvalidArgument: QUANTITY_ZERO, UNIT_UNKNOWN or UNIT_MISMATCH.
            AlreadyExists: LOT_CODE_TAKEN.
        """
        async with self._transactions.transaction():
            lot = await self._lots.load(lot_id)
            parts = [Part(self._ids.uuid7(), code, quantity) for code, quantity in wanted]
            event, minted = split(lot, parts, actor=actor.subject, now=self._clock.now())
            taken = [Change(part.lot_id, 0, (part,)) for part in minted]
            await self._lots.save([Change(lot_id, lot.version, (event,)), *taken])
        return LotView.of(evolve(lot, event)), [LotView.of(evolve(None, part)) for part in minted]
