"""A lot's history as an EPCIS document."""

from collections.abc import Iterator, Sequence

from chassis.clock import Clock
from chassis.errors import NotFound
from services.crops.application.epcis_ports import LotFact, LotHistories
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.jsontext import dumps
from services.crops.domain.epcis.render import render
from services.crops.domain.epcis.times import Timestamp
from services.crops.domain.events import LotCorrected, LotEvent, LotMinted, LotSplit, LotTransformed
from services.crops.domain.lot_epcis import CONTEXT, declared_wrong, visibility_event


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
        """The very split or transformation that made the lot, so that all who tell it tell one event."""
        minted = first.event
        if not isinstance(minted, LotMinted):
            return []
        # Each input of a transformation has the whole of it, so one parent is enough.
        parent = minted.parent_lot_id or next(iter(minted.parent_lot_ids), None)
        facts = await self._histories.history(parent) if parent else ()
        return [fact for fact in facts if _made(fact.event, minted)]


def _made(fact: LotEvent, minted: LotMinted) -> bool:
    match fact:
        case LotSplit(parts=made) | LotTransformed(outputs=made):
            return any(each.lot_id == minted.lot_id for each in made)
    return False


def _events(facts: Sequence[LotFact]) -> Iterator[m.Event]:
    told: dict[str, m.BusinessEvent] = {}
    for fact in facts:
        event = visibility_event(fact.event_id, fact.recorded_at, fact.event)
        if event is not None:
            told[fact.event_id] = event
            yield event
        elif isinstance(fact.event, LotCorrected) and fact.event.event_id in told:
            correctives = [told[each] for each in fact.event.corrective_event_ids if each in told]
            yield declared_wrong(told[fact.event.event_id], fact.event, correctives, fact.recorded_at)
