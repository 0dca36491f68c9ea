"""Visibility events in the event store, with the indexes that are written in the same transaction."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, Final
from zlib import crc32

from chassis.database import Database, Transaction
from chassis.eventstore import EventStore, NewEvent, StreamAppend
from chassis.outbox import Outbox
from chassis.quantity import Quantity
from services.crops.adapters.epcis_events import lot_ids, publications
from services.crops.adapters.epcis_schema import key_of, stream_of_event
from services.crops.adapters.findings import FINDING_COLUMNS, finding_row
from services.crops.application.epcis_ports import Identity, Recording, Stored
from services.crops.domain.epcis.facts import EventFacts, Role
from services.crops.domain.epcis.knowledge import MOST_ANCESTORS, MOST_LOOKED_AT, Knowledge
from services.crops.domain.epcis.known import GoodKnown

EVENT_TYPE: Final = "EpcisEventCaptured"
_LOCKS: Final = 0x4550  # first half of the advisory locks' key, theirs alone
_BUCKETS: Final = 256
# One statement in one order: two batches that meet wait for each other instead of dying of it.
_GUARD = """
SELECT pg_advisory_xact_lock($1, bucket) FROM (SELECT unnest($2::integer[]) AS bucket ORDER BY 1) AS ordered
"""
_PRESENT = """
SELECT event_key, declares_error, event_hash, ledger_event_id FROM epcis_event WHERE event_key = ANY($1)
"""
_GOODS = "SELECT * FROM epcis_good WHERE good_id = ANY($1)"
_HELD = "SELECT child, parent FROM epcis_held WHERE child = ANY($1) OR parent = ANY($2)"
_MADE_OF = """
WITH RECURSIVE made_of AS (
    SELECT output, input FROM epcis_made_of WHERE output = ANY($1)
    UNION
    SELECT above.output, above.input FROM made_of CROSS JOIN LATERAL (
        SELECT output, input FROM epcis_made_of WHERE output = made_of.input OFFSET 0
    ) AS above
)
SELECT output, input FROM made_of LIMIT $2
"""
_LOTS = "SELECT lot_id FROM lot_code WHERE lot_id = ANY($1)"
_BILLS = "SELECT bill, party FROM epcis_bill WHERE bill = ANY($1)"
_SAVE_GOODS = """
INSERT INTO epcis_good (good_id, made_at, seen_at, amount, unit, in_transit, ended_at)
SELECT * FROM unnest(
    $1::text[], $2::timestamptz[], $3::timestamptz[], $4::numeric[], $5::text[], $6::text[], $7::timestamptz[]
)
ON CONFLICT (good_id) DO UPDATE SET
    made_at = excluded.made_at, seen_at = excluded.seen_at, amount = excluded.amount, unit = excluded.unit,
    in_transit = excluded.in_transit, ended_at = excluded.ended_at
"""
_ADD_PAIRS = "INSERT INTO {table} SELECT * FROM unnest($1::text[], $2::text[]) ON CONFLICT DO NOTHING"
_END_HELD = """
DELETE FROM epcis_held USING unnest($1::text[], $2::text[]) AS gone (child, parent)
WHERE epcis_held.child = gone.child AND epcis_held.parent = gone.parent
"""
_EVENT_COLUMNS = [
    "position",
    "event_key",
    "declares_error",
    "event_hash",
    "event_id",
    "ledger_event_id",
    "captured_by",
    "record_time",
    "event_time",
    "size",
    "type",
    "action",
    "biz_step",
    "disposition",
    "read_point",
    "biz_location",
    "transformation_id",
]


class StoredVisibilityEvents:
    """Implements `VisibilityEvents`."""

    def __init__(self, database: Database, store: EventStore, outbox: Outbox) -> None:
        self._database = database
        self._store = store
        self._outbox = outbox

    async def guard(self, batch: Sequence[EventFacts]) -> None:
        await hold(self._database, (name for event in batch for name in _named(event)))

    async def present(self, identities: Sequence[Identity]) -> dict[Identity, Stored]:
        ids = {key_of(event_id): event_id for event_id, _ in identities}
        rows = await self._database.fetch(_PRESENT, list(ids))
        return {
            (ids[row["event_key"]], row["declares_error"]): Stored(
                row["event_hash"], str(row["ledger_event_id"])
            )
            for row in rows
        }

    async def knowledge(self, batch: Sequence[EventFacts]) -> Knowledge:
        ids = {key_of(good.id): good.id for event in batch for good in event.goods}
        children = [key_of(good.id) for event in batch for good in event.of(Role.CHILD)]
        inputs = [key_of(good.id) for event in batch for good in event.of(Role.INPUT)]
        bills = [key_of(bill) for event in batch for kind, bill in event.transactions if kind == "bol"]
        emptied = [key_of(event.parent) for event in batch if event.parent and event.action == "DELETE"]
        goods = await self._database.fetch(_GOODS, list(ids)) if ids else []
        held = await self._database.fetch(_HELD, children, emptied) if children or emptied else []
        most = min(MOST_LOOKED_AT, MOST_ANCESTORS * len(set(inputs)))
        made_of = await self._database.fetch(_MADE_OF, inputs, most) if inputs else []
        used = await self._database.fetch(_BILLS, bills) if bills else []
        return Knowledge(
            {ids[row["good_id"]]: _known(row) for row in goods},
            map(tuple, held),
            map(tuple, made_of),
            map(tuple, used),
        )

    async def save(
        self,
        recordings: Sequence[Recording],
        present: dict[Identity, Stored],
        knowledge: Knowledge,
        captured_by: str,
        now: datetime,
    ) -> None:
        async with self._database.transaction() as tx:
            recorded = await self._store.append_many(_appends(recordings, present))
            positions = {event.event_id: event.position for event in recorded}
            placed = [(positions[each.ledger_event_id], each) for each in recordings]
            rows = [_event_row(position, each, captured_by, now) for position, each in placed]
            await tx.copy("epcis_event", _EVENT_COLUMNS, rows)
            terms = [(*term, position) for position, each in placed for term in _terms(each.candidate.facts)]
            await tx.copy("epcis_term", ("kind", "value", "position"), terms)
            await tx.copy("epcis_finding", FINDING_COLUMNS, _finding_rows(placed, now))
            await _save_knowledge(tx, knowledge)
            named = lot_ids(recordings)
            lots = {row["lot_id"] for row in await tx.fetch(_LOTS, list(named))} if named else set()
            told = [publications(each, captured_by, lots) for each in recordings]
            await self._outbox.publish(tx, [publication for several in told for publication in several])


async def hold(database: Database, names: Iterable[str]) -> None:
    """Let nobody else record anything about what has these names until the running transaction ends."""
    buckets = {crc32(name.encode()) % _BUCKETS for name in names}
    await database.fetch(_GUARD, _LOCKS, list(buckets))


async def _save_knowledge(tx: Transaction, knowledge: Knowledge) -> None:
    changed = [(key_of(good), knowledge.goods[good]) for good in sorted(knowledge.changed)]
    if changed:
        await tx.execute(
            _SAVE_GOODS,
            [good for good, _ in changed],
            [known.made_at for _, known in changed],
            [known.seen_at for _, known in changed],
            [known.balance.amount if known.balance else None for _, known in changed],
            [known.balance.unit if known.balance else None for _, known in changed],
            [known.in_transit for _, known in changed],
            [known.ended_at for _, known in changed],
        )
    for table, pairs in (
        ("epcis_held", knowledge.held - knowledge.held_before),
        ("epcis_made_of", knowledge.made_of - knowledge.made_of_before),
        ("epcis_bill", knowledge.bills - knowledge.bills_before),
    ):
        if pairs:
            await tx.execute(_ADD_PAIRS.format(table=table), *_columns(pairs))
    gone = knowledge.held_before - knowledge.held
    if gone:
        await tx.execute(_END_HELD, *_columns(gone))


def _columns(pairs: Iterable[tuple[str, str]]) -> tuple[list[str], list[str]]:
    ordered = sorted((key_of(one), key_of(other)) for one, other in pairs)
    return [one for one, _ in ordered], [other for _, other in ordered]


def _named(event: EventFacts) -> Iterator[str]:
    yield key_of(event.event_id)
    for good in event.goods:
        yield good.id
    for kind, bill in event.transactions:
        if kind == "bol":
            yield bill


def _appends(recordings: Sequence[Recording], present: dict[Identity, Stored]) -> list[StreamAppend]:
    streams: dict[str, list[Recording]] = {}
    for each in recordings:
        streams.setdefault(each.candidate.facts.event_id, []).append(each)
    return [
        StreamAppend(
            stream_of_event(event_id),
            sum((event_id, declares) in present for declares in (False, True)),
            tuple(_new_event(each) for each in several),
        )
        for event_id, several in streams.items()
    ]


def _new_event(recording: Recording) -> NewEvent:
    # Texts, not JSON objects: the log's leaves hold no fractions, and numbers come back as they were written.
    facts = recording.candidate.facts
    data = {
        "event": recording.candidate.text,
        "context": recording.candidate.context,
        "event_hash": facts.event_hash,
        "declares_error": facts.declares_error,
        "ignored": list(recording.candidate.ignored),
    }
    return NewEvent(EVENT_TYPE, 1, data, event_id=recording.ledger_event_id)


def _event_row(position: int, each: Recording, captured_by: str, now: datetime) -> tuple[Any, ...]:
    facts = each.candidate.facts
    return (
        position,
        key_of(facts.event_id),
        facts.declares_error,
        facts.event_hash,
        facts.event_id,
        each.ledger_event_id,
        captured_by,
        now,
        facts.event_time,
        len(each.candidate.text) + len(each.candidate.context),
        key_of(facts.type),
        facts.action,
        _key(facts.biz_step),
        _key(facts.disposition),
        _key(facts.read_point),
        _key(facts.biz_location),
        _key(facts.transformation_id),
    )


def _terms(facts: EventFacts) -> set[tuple[str, str]]:
    found = {(f"{'epc' if good.instance else 'class'}:{good.role}", good.id) for good in facts.goods}
    found |= {(f"transaction:{kind}", document) for kind, document in facts.transactions}
    found |= {(f"source:{kind}", source) for kind, source in facts.sources}
    found |= {(f"destination:{kind}", destination) for kind, destination in facts.destinations}
    found |= {("set", each) for each in facts.persistent_set}
    found |= {("unset", each) for each in facts.persistent_unset}
    found |= {("corrective", each) for each in facts.correctives}
    return {(key_of(kind), key_of(value)) for kind, value in found}


def _finding_rows(placed: Sequence[tuple[int, Recording]], now: datetime) -> Iterator[tuple[Any, ...]]:
    for position, each in placed:
        for found in each.findings:
            yield finding_row(position, found, now)


def _key(text: str | None) -> str | None:
    return None if text is None else key_of(text)


def _known(row: Any) -> GoodKnown:
    balance = None if row["amount"] is None else Quantity(row["amount"], row["unit"])
    return GoodKnown(row["made_at"], row["seen_at"], balance, row["in_transit"], row["ended_at"])
