"""Record what orders took of lots out of the stock of venues."""

from collections import defaultdict
from collections.abc import Sequence

from chassis.clock import Clock
from chassis.transactions import Transactions
from services.crops.application.attempts import decided_anew
from services.crops.application.commitments import ATTEMPTS
from services.crops.application.ports import Change, ServedLots
from services.crops.domain.doubts import doubts
from services.crops.domain.events import LotServed
from services.crops.domain.lot import evolve
from services.crops.domain.serving import Serving, serve


class ServeOrders:
    """Many orders in one transaction, and for each lot one append of all that they took of it."""

    def __init__(self, transactions: Transactions, lots: ServedLots, clock: Clock) -> None:
        self._transactions = transactions
        self._lots = lots
        self._clock = clock

    async def __call__(self, servings: Sequence[Serving]) -> None:
        """Record those that are not recorded yet.

        Raises:
            NotFound: LOT_NOT_FOUND.
            InvalidArgument: UNIT_UNKNOWN or UNIT_MISMATCH.
            Aborted: CONCURRENT_CHANGE, commands on the lots were faster every time.
        """
        async with self._transactions.transaction():
            # Others that serve of a lot wait here instead of overtaking one another again and again.
            await self._lots.guard_servings(sorted({each.lot_id for each in servings}))
            known = await self._lots.recorded([each.serving_id for each in servings])
            by_lot: dict[str, dict[str, Serving]] = defaultdict(dict)
            for each in servings:
                if each.serving_id not in known:
                    by_lot[each.lot_id][each.serving_id] = each

            async def attempt() -> None:
                changes = [await self._served(lot_id, list(by_lot[lot_id].values())) for lot_id in by_lot]
                await self._lots.save(changes)

            if by_lot:
                await decided_anew(self._transactions, attempt, ATTEMPTS)

    async def _served(self, lot_id: str, servings: Sequence[Serving]) -> Change:
        lot, now = await self._lots.load(lot_id), self._clock.now()
        version, facts, told = lot.version, list[LotServed](), []
        for serving in servings:
            fact = serve(lot, serving, now=now)
            told.append(doubts(lot, fact))
            facts.append(fact)
            lot = evolve(lot, fact)
        return Change(lot_id, version, tuple(facts), tuple(told))
