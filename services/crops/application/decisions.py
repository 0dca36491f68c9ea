"""Deciding on lots: load, decide, record under the version that was decided on; anew when overtaken."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Protocol, TypeVar

from chassis.clock import Clock
from chassis.context import Principal
from chassis.transactions import Transactions
from services.crops.application.attempts import decided_anew
from services.crops.application.ports import Change, Lots
from services.crops.application.views import LotView
from services.crops.domain.doubts import doubts
from services.crops.domain.events import LotEvent
from services.crops.domain.lot import Lot, evolve, replay_from

T = TypeVar("T")


class Rule(Protocol):
    """A rule of the domain with all that it is told but who asks and when."""

    def __call__(self, lot: Lot, /, *, actor: str, now: datetime) -> LotEvent: ...


class LotDecisions:
    """What commands on lots have in common."""

    def __init__(self, transactions: Transactions, lots: Lots, clock: Clock) -> None:
        self._transactions = transactions
        self._lots = lots
        self._clock = clock

    async def _decide(self, lot_id: str, decide: Callable[[Lot], tuple[LotEvent, ...]]) -> LotView:
        """The lot after a decision on it alone, which may be that there is nothing to do."""

        async def attempt() -> LotView:
            lot = await self._lots.load(lot_id)
            events = decide(lot)
            if events:
                told = tuple(doubts(lot, event) for event in events)
                await self._lots.save([Change(lot_id, lot.version, events, told)])
            return LotView.of(replay_from(lot, events))

        return await self._anew(attempt)

    async def _by(self, actor: Principal, lot_id: str, rule: Rule) -> LotView:
        """The lot after a decision of someone on it alone."""
        return await self._decide(
            lot_id, lambda lot: (rule(lot, actor=actor.subject, now=self._clock.now()),)
        )

    async def _anew(self, attempt: Callable[[], Awaitable[T]]) -> T:
        return await decided_anew(self._transactions, attempt)

    async def _record(self, decisions: Sequence[tuple[Lot, LotEvent]]) -> list[LotView]:
        """Record a fact for each lot, with what does not fit about it; the lots after it."""
        await self._lots.save(
            [Change(lot.lot_id, lot.version, (event,), (doubts(lot, event),)) for lot, event in decisions]
        )
        return [LotView.of(evolve(lot, event)) for lot, event in decisions]
