"""Record visibility events, each once, with what does not fit about them."""

from collections.abc import Collection, Sequence

from chassis.clock import Clock
from chassis.context import Principal
from chassis.errors import AlreadyExists, InvalidArgument
from chassis.ids import IdSource
from chassis.transactions import Transactions
from services.crops.application.epcis_ports import (
    Candidate,
    CaptureError,
    Identity,
    Outcome,
    Recording,
    Stored,
    VisibilityEvents,
)
from services.crops.domain.epcis import model as m
from services.crops.domain.epcis.context import NO_CONTEXT, Context
from services.crops.domain.epcis.event_hash import ignored_fields
from services.crops.domain.epcis.facts import facts
from services.crops.domain.epcis.findings import findings
from services.crops.domain.epcis.jsontext import Json, dumps
from services.crops.domain.epcis.parse import parse_text
from services.crops.domain.epcis.render import render_event

CONFLICT = "EPCIS_EVENT_CONFLICT"


def candidate(
    event: m.Event,
    context: Context = NO_CONTEXT,
    written_context: Json = None,
    ignored: Collection[str] = (),
) -> Candidate:
    """An event as it would be recorded.

    Args:
        event: the event.
        context: prefixes of its document; default none.
        written_context: `@context` of its document as written; default none.
        ignored: fields that do not count in its hash; default none.
    """
    whole = _merged(written_context, event.context)
    text = dumps({name: value for name, value in render_event(event).items() if name != "@context"})
    return Candidate(facts(event, context, ignored), text, dumps(whole), tuple(sorted(ignored)))


def _merged(outer: Json, own: Json) -> Json:
    if outer is None or own is None or outer == own:
        return outer if own is None else own
    one = outer if isinstance(outer, list) else [outer]
    two = own if isinstance(own, list) else [own]
    return one + [item for item in two if item not in one]


class Recorder:
    """Records a batch of candidates in one transaction."""

    def __init__(
        self, transactions: Transactions, events: VisibilityEvents, clock: Clock, ids: IdSource
    ) -> None:
        self._transactions = transactions
        self._events = events
        self._clock = clock
        self._ids = ids

    async def __call__(self, actor: Principal, batch: Sequence[Candidate]) -> list[Outcome]:
        """What became of each, in order. An event under an id that is taken by another one is refused."""
        if not batch:
            return []
        async with self._transactions.transaction():
            await self._events.guard([each.facts for each in batch])
            stored = await self._events.present([each.identity for each in batch])
            present = dict(stored)
            outcomes = [self._decided(each, present) for each in batch]
            new = [
                (place, each)
                for place, each in enumerate(batch)
                if not outcomes[place].duplicate and outcomes[place].error is None
            ]
            if new:
                await self._record(actor, new, outcomes, stored)
        return outcomes

    def _decided(self, each: Candidate, present: dict[Identity, Stored]) -> Outcome:
        known, own = present.get(each.identity), each.facts.event_hash
        if known is None:
            ledger_event_id = self._ids.uuid7()
            present[each.identity] = Stored(own, ledger_event_id)
            return Outcome(each.facts.event_id, own, ledger_event_id)
        if known.event_hash == own:
            return Outcome(each.facts.event_id, own, known.ledger_event_id, duplicate=True)
        message = (
            f"another event is recorded as {each.facts.event_id[:200]}, with the hash {known.event_hash}"
        )
        return Outcome(each.facts.event_id, own, error=CaptureError(0, CONFLICT, message))

    async def _record(
        self,
        actor: Principal,
        new: Sequence[tuple[int, Candidate]],
        outcomes: list[Outcome],
        stored: dict[Identity, Stored],
    ) -> None:
        now = self._clock.now()
        knowledge = await self._events.knowledge([each.facts for _, each in new])
        recordings = []
        for place, each in new:
            before = knowledge.about(each.facts)
            found = findings(each.facts, before, now)
            knowledge.learn(each.facts, before)
            known = outcomes[place]
            outcomes[place] = Outcome(known.event_id, known.event_hash, known.ledger_event_id, findings=found)
            recordings.append(Recording(each, known.ledger_event_id, found))
        captured_by = f"{actor.kind}:{actor.subject}"
        await self._events.save(recordings, stored, knowledge, captured_by, now)


class CaptureEvent:
    """Takes one event."""

    def __init__(self, record: Recorder) -> None:
        self._record = record

    async def __call__(self, actor: Principal, text: str) -> Outcome:
        """Record it, or find it.

        Raises:
            InvalidArgument: EPCIS_INVALID.
            AlreadyExists: EPCIS_EVENT_CONFLICT.
        """
        event = parse_text(text)
        if not isinstance(event, m.Event):
            raise InvalidArgument(
                "EPCIS_INVALID", "One event is expected; a document is captured as a whole."
            )
        context = NO_CONTEXT.and_of(event.context)
        [outcome] = await self._record(
            actor, [candidate(event, ignored=ignored_fields(event.extensions, context))]
        )
        if outcome.error is not None:
            raise AlreadyExists(CONFLICT, f"The id is taken: {outcome.error.message}.")
        return outcome
