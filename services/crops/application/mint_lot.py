"""Record a harvest as a new lot."""

from chassis.clock import Clock
from chassis.context import Principal
from chassis.ids import IdSource
from chassis.transactions import Transactions
from services.crops.application.ports import Change, Lots
from services.crops.application.views import LotView
from services.crops.domain.harvest import Harvest, mint
from services.crops.domain.lot import evolve


class MintLot:
    """The caller is the grower and the first owner."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock, ids: IdSource) -> None:
        self._transactions = transactions
        self._lots = lots
        self._clock = clock
        self._ids = ids

    async def __call__(self, actor: Principal, harvest: Harvest) -> LotView:
        """The new lot.

        Raises:
            InvalidArgument: QUANTITY_ZERO or TIMES_INVALID.
            AlreadyExists: LOT_CODE_TAKEN.
        """
        now, lot_id = self._clock.now(), self._ids.uuid7()
        event = mint(harvest, lot_id=lot_id, grower_id=actor.subject, now=now)
        async with self._transactions.transaction():
            await self._lots.save([Change(lot_id, 0, (event,))])
        return LotView.of(evolve(None, event))
