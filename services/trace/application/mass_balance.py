"""Ask what came into lots and what left them."""

from collections.abc import Mapping, Sequence
from decimal import Decimal

from chassis.errors import InvalidArgument, Violation
from services.trace.application.ports import JournalReader
from services.trace.application.trace_goods import unknown
from services.trace.domain.balance import TOLERANCE, MassBalance, balance
from services.trace.domain.corrections import put_right
from services.trace.domain.journal import Entry, EntryKind


class MassBalances:
    """Adds up what the journal says."""

    def __init__(self, journal: JournalReader) -> None:
        self._journal = journal

    @staticmethod
    def require_one(lot_id: str, holder_id: str) -> None:
        """Refuse what is about a lot and a holder, or about neither.

        Raises:
            InvalidArgument: SUBJECT_INVALID.
        """
        if bool(lot_id) == bool(holder_id):
            violation = Violation("holder_id", "must be given when lot_id is not, and only then")
            raise InvalidArgument(
                "SUBJECT_INVALID", "Ask for a lot or for a holder.", violations=(violation,)
            )

    async def of_lot(self, lot_id: str, tolerance: Decimal | None) -> MassBalance:
        """A lot, holder by holder.

        Args:
            tolerance: share of what came in; None is 2 %.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        if not await self._journal.known(lot_id):
            raise unknown("lot", lot_id)
        return (await self._add_up([lot_id], tolerance))[lot_id]

    async def of_holder(
        self, holder_id: str, after: str, limit: int, tolerance: Decimal | None
    ) -> list[tuple[str, MassBalance]]:
        """The lots that a holder ever had, by id, behind one: the holder's lines, and the lots' findings."""
        lot_ids = list(await self._journal.lots_of(holder_id, after, limit))
        return [
            (lot_id, of_one.only(holder_id))
            for lot_id, of_one in (await self._add_up(lot_ids, tolerance)).items()
        ]

    async def _add_up(self, lot_ids: list[str], tolerance: Decimal | None) -> dict[str, MassBalance]:
        histories = await self._journal.history(lot_ids)
        parts = {
            lot_id: {
                entry.reference
                for entry in entries
                if entry.kind in (EntryKind.USED, EntryKind.MADE) and entry.reference
            }
            for lot_id, entries in histories.items()
        }
        known = await self._right(await self._journal.transformations(sorted(set().union(*parts.values()))))
        return {
            lot_id: balance(
                lot_id,
                histories[lot_id],
                {name: known[name] for name in sorted(parts[lot_id])},
                TOLERANCE if tolerance is None else tolerance,
            )
            for lot_id in lot_ids
        }

    async def _right(self, told: Mapping[str, Sequence[Entry]]) -> dict[str, list[Entry]]:
        """Transformations with the amounts that corrections give them."""
        wrong = {each.lot_id for entries in told.values() for each in entries if each.declared_wrong}
        histories = await self._journal.history(sorted(wrong)) if wrong else {}
        return {
            name: [put_right(each, histories.get(each.lot_id, ())) for each in entries]
            for name, entries in told.items()
        }
