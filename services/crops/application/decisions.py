"""Deciding on one lot: load, decide, record under the version that was decided on; anew when overtaken."""

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from chassis.clock import Clock
from chassis.context import Principal
from chassis.transactions import Transactions
from services.crops.application.attempts import decided_anew
from services.crops.application.ports import Change, Lots
from services.crops.application.views import LotView
from services.crops.domain.events import LotEvent
from services.crops.domain.lot import Lot, replay_from


class Rule(Protocol):
    """A rule of the domain with all that it is told but who asks and when."""

    def __call__(self, lot: Lot, /, *, actor: str, now: datetime) -> LotEvent: ...


class LotDecisions:
    """What commands on one lot have in common."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock) -> None:
        self._transactions = transactions
        self._lots = lots
        self._clock = clock

    async def _decide(self, lot_id: str, decide: Callable[[Lot], tuple[LotEvent, ...]]) -> LotView:
        """The lot after a decision on it, which may be that there is nothing to do."""

        async def attempt() -> LotView:
            lot = await self._lots.load(lot_id)
            events = decide(lot)
            if events:
                await self._lots.save([Change(lot_id, lot.version, events)])
            return LotView.of(replay_from(lot, events))

        return await decided_anew(self._transactions, attempt)

    async def _by(self, actor: Principal, lot_id: str, rule: Rule) -> LotView:
        """The lot after a decision of someone on it."""
        return await self._decide(
            lot_id, lambda lot: (rule(lot, actor=actor.subject, now=self._clock.now()),)
        )
