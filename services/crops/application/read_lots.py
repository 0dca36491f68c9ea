"""Questions about lots."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime, timedelta

from chassis.errors import NotFound
from services.crops.application.ports import Changes, LotQueries, Lots
from services.crops.application.views import CustodyView, LotEventView, LotFilter, LotView, OwnershipView

POLL_S = 1.0
"""How soon a watcher hears of what another process did, in seconds."""


class ReadLots:
    """Every reader of lots may read every lot: provenance is no secret among those who deal in it."""

    def __init__(
        self,
        queries: LotQueries,
        lots: Lots,
        changes: Changes,
        heartbeat: timedelta = timedelta(seconds=15),
    ) -> None:
        self._queries = queries
        self._lots = lots
        self._changes = changes
        self._heartbeat_s = heartbeat.total_seconds()
        self._poll_s = min(POLL_S, self._heartbeat_s)

    async def get(self, lot_id: str) -> LotView:
        """A lot.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        lot = await self._queries.get(lot_id)
        if lot is None:
            raise NotFound("LOT_NOT_FOUND", f"There is no lot {lot_id}.", resource=("lot", lot_id))
        return lot

    async def at_version(self, lot_id: str, version: int) -> LotView:
        """A lot as it was after so many events.

        Raises:
            NotFound: LOT_NOT_FOUND; LOT_STATE_NOT_FOUND, there are not so many yet.
        """
        return LotView.of(await self._lots.load(lot_id, at_version=version))

    async def at_time(self, lot_id: str, time: datetime) -> LotView:
        """A lot as it was by what had been recorded until then.

        Raises:
            NotFound: LOT_NOT_FOUND; LOT_STATE_NOT_FOUND, it was not there yet.
        """
        return LotView.of(await self._lots.load_at(lot_id, time))

    async def page(self, where: LotFilter, after: str | None, limit: int) -> Sequence[LotView]:
        """Lots after an id, oldest first, at most `limit`."""
        return await self._queries.page(where, after, limit)

    async def events(self, lot_id: str, after_version: int, limit: int) -> Sequence[LotEventView]:
        """A lot's history above a version, oldest first.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        found = await self._queries.events(lot_id, after_version, limit)
        if not found:
            await self.get(lot_id)
        return found

    async def ownership(self, lot_id: str, after_number: int, limit: int) -> Sequence[OwnershipView]:
        """A lot's owners above a number, first owner first.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        found = await self._queries.ownership(lot_id, after_number, limit)
        if not found:
            await self.get(lot_id)
        return found

    async def custody(self, lot_id: str, after_number: int, limit: int) -> Sequence[CustodyView]:
        """A lot's custodians above a number, first one first.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        found = await self._queries.custody(lot_id, after_number, limit)
        if not found:
            await self.get(lot_id)
        return found

    async def watch(self, lot_id: str, after_version: int) -> AsyncGenerator[LotView | None, None]:
        """The lot as it is, or each state above `after_version`; then each further one, None as a heartbeat.

        Raises:
            NotFound: LOT_NOT_FOUND; LOT_STATE_NOT_FOUND, there is no such version.
        """
        quiet_s = 0.0
        with self._changes.watch(lot_id) as changed:
            lot = await self._lots.load(lot_id, at_version=after_version or None)
            if not after_version:
                yield LotView.of(lot)
            while True:
                while news := await self._lots.further(lot):
                    lot, quiet_s = news[-1], 0.0
                    for state in news:
                        yield LotView.of(state)
                # The poll finds what another replica changed; the wake-up what this one did.
                quiet_s += 0.0 if await changed.wait(self._poll_s) else self._poll_s
                if quiet_s >= self._heartbeat_s:
                    quiet_s = 0.0
                    yield None
