"""Ask what is wrong with a lot's history."""

from datetime import timedelta

from chassis.clock import Clock
from services.trace.application.ports import JournalReader
from services.trace.application.trace_goods import unknown
from services.trace.domain.findings import Finding
from services.trace.domain.gaps import UNRECEIVED_AFTER, gaps


class FindGaps:
    """Looks for what is missing or cannot be."""

    def __init__(self, journal: JournalReader, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    async def __call__(self, lot_id: str, unreceived_after: timedelta | None) -> list[Finding]:
        """The gaps of a lot, by kind and what they concern.

        Args:
            unreceived_after: None is 3 days.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        if not await self._journal.known(lot_id):
            raise unknown("lot", lot_id)
        history = await self._journal.history([lot_id])
        found = gaps(
            lot_id,
            history[lot_id],
            await self._journal.descent(lot_id),
            now=self._clock.now(),
            unreceived_after=UNRECEIVED_AFTER if unreceived_after is None else unreceived_after,
            ways=await self._journal.ways(lot_id),
        )
        return sorted(found, key=Finding.place)
