"""Ask when goods were too warm."""

from contextlib import aclosing
from heapq import nsmallest

from services.trace.application.ports import JournalReader
from services.trace.application.trace_goods import unknown
from services.trace.domain.cold_chain import Breach, BreachPlace, Limits, breaches


class ColdChain:
    """Looks through the readings; of any number of them, only a page of breaches is kept."""

    def __init__(self, journal: JournalReader) -> None:
        self._journal = journal

    async def __call__(
        self, lot_id: str, limits: Limits, after: BreachPlace | None, limit: int
    ) -> list[Breach]:
        """The breaches behind a place, by when they began, at most `limit`.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        if not await self._journal.known(lot_id):
            raise unknown("lot", lot_id)
        kept: list[Breach] = []
        async with (
            aclosing(self._journal.readings(lot_id)) as readings,
            aclosing(breaches(readings, limits)) as found,
        ):
            async for breach in found:
                if after is None or breach.place > after:
                    kept.append(breach)
                if len(kept) > 2 * limit:
                    kept = nsmallest(limit, kept, key=lambda each: each.place)
        return nsmallest(limit, kept, key=lambda each: each.place)
