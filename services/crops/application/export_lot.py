"""A lot's history as an EPCIS document."""

from collections.abc import Iterator, Sequence

from chassis.clock import Clock
from chassis.errors import NotFound
from services.crops.application.epcis_ports import LotFact, LotHistories
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.jsontext import dumps
from services.crops.domain.epcis.render import render
from services.crops.domain.epcis.times import Timestamp
from services.crops.domain.events import LotMinted, LotSplit
from services.crops.domain.lot_epcis import CONTEXT, visibility_event


class ExportLot:
    """The document has an event for each fact; what a split made begins with that split."""

    def __init__(self, histories: LotHistories, clock: Clock) -> None:
        self._histories = histories
        self._clock = clock

    async def __call__(self, lot_id: str) -> str:
        """The document as JSON text.

        Raises:
            NotFound: LOT_NOT_FOUND.
        """
        facts = list(await self._histories.history(lot_id))
        if not facts:
            raise NotFound("LOT_NOT_FOUND", f"There is no lot {lot_id}.", resource=("lot", lot_id))
        facts = [*await self._origin(facts[0]), *facts]
        head = m.DocumentHead(
            context=CONTEXT, schema_version="2.0", creation_date=Timestamp.of(self._clock.now())
        )
        return dumps(render(m.Document(head, tuple(_events(facts)))))

    async def _origin(self, first: LotFact) -> list[LotFact]:
        """The very split of the parent that made the lot, so that both tell it as one event."""
        minted = first.event
        if not isinstance(minted, LotMinted) or minted.parent_lot_id is None:
            return []
        parents = await self._histories.history(minted.parent_lot_id)
        return [fact for fact in parents if isinstance(fact.event, LotSplit) and _made(fact.event, minted)]


def _made(split: LotSplit, minted: LotMinted) -> bool:
    return any(part.lot_id == minted.lot_id for part in split.parts)


def _events(facts: Sequence[LotFact]) -> Iterator[m.Event]:
    for fact in facts:
        event = visibility_event(fact.event_id, fact.recorded_at, fact.event)
        if event is not None:
            yield event
