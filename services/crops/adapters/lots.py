"""Lots in the event store, with the codes and the descent that must be right at once."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime
from functools import partial
from itertools import accumulate, chain, takewhile

from chassis.database import Database, Transaction
from chassis.errors import AlreadyExists, NotFound
from chassis.eventstore import EventStore, RecordedEvent, Repository, Snapshot, StreamAppend
from chassis.outbox import Outbox
from chassis.wakeup import Watchers
from services.crops.adapters.bills import note
from services.crops.adapters.events import decode, encode, stream_of
from services.crops.adapters.findings import FINDING_COLUMNS, finding_row
from services.crops.adapters.snapshots import EVERY, LOT, SCHEMA_VERSION, encode_lot
from services.crops.adapters.told_facts import Stored, publications
from services.crops.adapters.units import lots_on, move
from services.crops.application.ports import Change
from services.crops.domain.doubts import Doubt
from services.crops.domain.epcis.findings import Finding
from services.crops.domain.events import LotEvent, LotMinted
from services.crops.domain.lot import Lot, evolve, replay
from services.crops.domain.telling import urn

LOT_CODE_V1 = """
CREATE TABLE lot_code (
    assigner_id text NOT NULL,
    lot_code text NOT NULL,
    lot_id text NOT NULL UNIQUE,
    parent_lot_id text,
    PRIMARY KEY (assigner_id, lot_code)
);
CREATE INDEX lot_code_parent_idx ON lot_code (parent_lot_id) WHERE parent_lot_id IS NOT NULL;
"""
LOT_PARENT_V1 = """
CREATE TABLE lot_parent (
    parent_id text NOT NULL,
    child_id text NOT NULL,
    PRIMARY KEY (parent_id, child_id)
);
INSERT INTO lot_parent (parent_id, child_id)
SELECT parent_lot_id, lot_id FROM lot_code WHERE parent_lot_id IS NOT NULL;
ALTER TABLE lot_code DROP COLUMN parent_lot_id;
"""
LOT_PARENT_V1_DROP = """
ALTER TABLE lot_code ADD COLUMN parent_lot_id text;
UPDATE lot_code SET parent_lot_id = (SELECT min(parent_id) FROM lot_parent WHERE child_id = lot_id);
CREATE INDEX lot_code_parent_idx ON lot_code (parent_lot_id) WHERE parent_lot_id IS NOT NULL;
DROP TABLE lot_parent;
"""
_GUARD_RECALLS = "SELECT pg_advisory_xact_lock($1, 0)"
_RECALL_LOCKS = 0x5243  # first half of the advisory lock's key, theirs alone
_SERVING_LOCKS = 0x5345
_GUARD_SERVINGS = """
SELECT pg_advisory_xact_lock($1, lot)
FROM (SELECT DISTINCT hashtext(id) AS lot FROM unnest($2::text[]) AS id ORDER BY lot) AS wanted
"""
_RECORDED = "SELECT event_id FROM log_leaf WHERE event_id = ANY($1::uuid[])"
_PAGE = 100  # states read at a time by those who watch
_DESCEND = "INSERT INTO lot_parent (parent_id, child_id) SELECT * FROM unnest($1::text[], $2::text[])"
_REGISTER = """
INSERT INTO lot_code (assigner_id, lot_code, lot_id)
SELECT * FROM unnest($1::text[], $2::text[], $3::text[])
ORDER BY 1, 2
ON CONFLICT (assigner_id, lot_code) DO NOTHING
RETURNING lot_id
"""
# UNION, not UNION ALL: each lot is visited once, so even a corrupt circle would end. LATERAL with OFFSET 0
# cannot be turned into a join that reads the whole table, which the planner would prefer.
_DESCENDANTS = """
WITH RECURSIVE descendant AS (
    SELECT child_id AS lot_id FROM lot_parent WHERE parent_id = $1
    UNION
    SELECT child.lot_id FROM descendant CROSS JOIN LATERAL (
        SELECT child_id AS lot_id FROM lot_parent WHERE parent_id = descendant.lot_id OFFSET 0
    ) AS child
)
SELECT lot_id FROM descendant ORDER BY lot_id
"""


class EventSourcedLots:
    """Implements `Lots`: events, lot codes and publications in one transaction.

    Args:
        changes: told of each lot that was changed; default nobody listens.
    """

    def __init__(
        self, database: Database, store: EventStore, outbox: Outbox, changes: Watchers | None = None
    ) -> None:
        self._database = database
        self._changes = changes or Watchers()
        self._store = store
        self._outbox = outbox
        self._repository = Repository(store, LOT)

    async def load(self, lot_id: str, at_version: int | None = None) -> Lot:
        if at_version is None:
            return await self._newest(lot_id)
        lot = replay(map(decode, await self._store.read_stream(stream_of(lot_id), limit=at_version)))
        if lot is None:
            raise _unknown(lot_id)
        if lot.version != at_version:
            raise _no_such_state(lot_id)
        return lot

    async def load_at(self, lot_id: str, time: datetime) -> Lot:
        recorded = await self._store.read_stream(stream_of(lot_id))
        if not recorded:
            raise _unknown(lot_id)
        lot = replay(map(decode, takewhile(lambda event: event.recorded_at <= time, recorded)))
        if lot is None:
            raise _no_such_state(lot_id)
        return lot

    async def _newest(self, lot_id: str) -> Lot:
        loaded = await self._repository.find(lot_id)
        if loaded is None or loaded.state is None:
            raise _unknown(lot_id)
        return loaded.state

    async def further(self, lot: Lot) -> Sequence[Lot]:
        recorded = await self._store.read_stream(stream_of(lot.lot_id), after=lot.version, limit=_PAGE)
        return list(accumulate(map(decode, recorded), evolve, initial=lot))[1:]

    async def descendants(self, lot_id: str) -> Sequence[Lot]:
        rows = await self._database.fetch(_DESCENDANTS, lot_id)
        return [await self.load(row["lot_id"]) for row in rows]

    async def in_unit(self, unit_id: str) -> Sequence[Lot]:
        return [await self._newest(lot_id) for lot_id in await lots_on(self._database, unit_id)]

    async def guard_recalls(self) -> None:
        await self._database.execute(_GUARD_RECALLS, _RECALL_LOCKS)

    async def guard_servings(self, lot_ids: Sequence[str]) -> None:
        await self._database.execute(_GUARD_SERVINGS, _SERVING_LOCKS, lot_ids)

    async def recorded(self, event_ids: Sequence[str]) -> Collection[str]:
        rows = await self._database.fetch(_RECORDED, event_ids)
        return {str(row["event_id"]) for row in rows}

    async def save(self, changes: Sequence[Change]) -> None:
        events = list(chain.from_iterable(change.events for change in changes))
        async with self._database.transaction() as tx:
            # First, because the store explains text that PostgreSQL cannot hold.
            recorded = await self._store.append_many(
                [_append(change) for change in sorted(changes, key=_lot_id)]
            )
            await _flag(tx, changes, recorded, await note(self._database, events))
            await move(self._database, events)
            await self._register([event for event in events if isinstance(event, LotMinted)])
            await self._outbox.publish(tx, list(publications(_stored(changes, recorded))))
            for change in changes:
                await self._snapshot(change)
                self._database.after_commit(partial(self._changes.changed, change.lot_id))

    async def _snapshot(self, change: Change) -> None:
        """Keep the state whenever a history passes another fifty events."""
        after = change.expected_version + len(change.events)
        if change.expected_version // EVERY == after // EVERY:
            return
        state = encode_lot(await self._newest(change.lot_id))
        await self._store.save_snapshot(Snapshot(stream_of(change.lot_id), after, SCHEMA_VERSION, state))

    async def _register(self, minted: Sequence[LotMinted]) -> None:
        if not minted:
            return
        rows = await self._database.fetch(
            _REGISTER,
            # Whoever makes a lot assigns its code: the grower a harvest's, the owner that of a part.
            [lot.owner_id for lot in minted],
            [lot.lot_code for lot in minted],
            [lot.lot_id for lot in minted],
        )
        registered = {row["lot_id"] for row in rows}
        taken = [lot.lot_code for lot in minted if lot.lot_id not in registered]
        if taken:
            raise AlreadyExists(
                "LOT_CODE_TAKEN",
                f"You have given the code {taken[0]!r} to another lot already.",
                metadata={"lot_code": taken[0]},
            )
        edges = [(parent, lot.lot_id) for lot in minted for parent in lot.parent_lot_ids]
        if edges:
            parents, children = zip(*edges, strict=True)
            await self._database.execute(_DESCEND, parents, children)


def _unknown(lot_id: str) -> NotFound:
    return NotFound("LOT_NOT_FOUND", f"There is no lot {lot_id}.", resource=("lot", lot_id))


def _no_such_state(lot_id: str) -> NotFound:
    return NotFound(
        "LOT_STATE_NOT_FOUND",
        f"Lot {lot_id} has no such version, or was not there yet at that time.",
        resource=("lot", lot_id),
    )


def _lot_id(change: Change) -> str:
    # One order for everyone: two recalls that meet wait for each other instead of dying of it.
    return change.lot_id


async def _flag(
    tx: Transaction,
    changes: Sequence[Change],
    recorded: Sequence[RecordedEvent],
    shared: Mapping[tuple[str, str], Doubt],
) -> None:
    """Keep what does not fit about the facts as findings on their visibility events.

    Args:
        shared: what is doubtful about bills of lading, by lot and bill.
    """
    facts: dict[str, list[RecordedEvent]] = {}
    for event in recorded:
        facts.setdefault(event.stream_id, []).append(event)
    doubts = [
        (facts[stream_of(change.lot_id)][place], urn(change.lot_id), doubt)
        for change in changes
        for place, found in enumerate(change.doubts)
        for doubt in found
    ]
    doubts += [(facts[stream_of(lot_id)][-1], bill, doubt) for (lot_id, bill), doubt in shared.items()]
    if not doubts:
        return
    rows = []
    for fact, subject, doubt in doubts:
        found = Finding(doubt.code, doubt.severity, urn(fact.event_id), subject, doubt.explanation)
        rows.append(finding_row(fact.position, found, fact.recorded_at))
    await tx.copy("epcis_finding", FINDING_COLUMNS, rows)


def _append(change: Change) -> StreamAppend:
    events: Sequence[LotEvent] = change.events
    return StreamAppend(stream_of(change.lot_id), change.expected_version, tuple(map(encode, events)))


def _stored(changes: Sequence[Change], recorded: Sequence[RecordedEvent]) -> Iterator[Stored]:
    ids = {(each.stream_id, each.version): each.event_id for each in recorded}
    for change in changes:
        for version, event in enumerate(change.events, change.expected_version + 1):
            yield ids[stream_of(change.lot_id), version], event
