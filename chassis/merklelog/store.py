"""The log on PostgreSQL: appends in the transaction of the event, hashes read for proofs."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any
from uuid import UUID

import asyncpg

from chassis.database import Database, Transaction
from chassis.errors import InvalidArgument
from chassis.eventstore.codec import decode
from chassis.eventstore.events import RecordedEvent
from chassis.merklelog.leaf import CanonicalFormError, event_leaf
from chassis.merklelog.schema import APPEND_LOCK
from chassis.merklelog.tree import (
    Node,
    consistency_path,
    fold,
    inclusion_path,
    leaf_hash,
    subtrees,
)

_SIZE = "SELECT coalesce((SELECT leaf_index + 1 FROM log_leaf ORDER BY leaf_index DESC LIMIT 1), 0)"
# Subqueries, not joins: they can only become index lookups, whatever the planner believes of the sizes.
_NODES = """
SELECT CASE WHEN level = 0 THEN (SELECT hash FROM log_leaf WHERE leaf_index = node)
       ELSE (SELECT hash FROM log_node WHERE log_node.level = wanted.level AND node_index = node) END AS hash
FROM unnest($1::integer[], $2::bigint[]) WITH ORDINALITY AS wanted (level, node, ordinal)
ORDER BY ordinal
"""
_EVENT = """
    event.position, stream_id, version, type, schema_version, data, meta, event.event_id, recorded_at
"""
# LATERAL with OFFSET 0 looks each event up; a join might read all of them.
_LEAF = f"""
SELECT leaf_index, hash, leaf.event_id AS leaf_event_id, leaf.position AS leaf_position, {_EVENT}
FROM (%s) AS leaf LEFT JOIN LATERAL (
    SELECT * FROM event WHERE event.position = leaf.position OFFSET 0
) AS event ON true
ORDER BY leaf_index
"""
_LEAF_OF = _LEAF % "SELECT * FROM log_leaf WHERE event_id = $1"
_LEAVES = _LEAF % (
    "SELECT * FROM log_leaf WHERE leaf_index >= $1 AND leaf_index < $2 ORDER BY leaf_index LIMIT $3"
)
_UNLOGGED = """
WITH page AS (SELECT position, event_id FROM event WHERE position > $1 ORDER BY position LIMIT $2)
SELECT (SELECT max(position) FROM page) AS reached, ARRAY(
    SELECT position FROM page
    WHERE NOT EXISTS (SELECT FROM log_leaf WHERE log_leaf.event_id = page.event_id)
    ORDER BY position
) AS positions
"""
_EVENTS = f"SELECT {_EVENT} FROM event WHERE position = ANY($1) ORDER BY position"
_ADOPT_BATCH = 1000


class DamagedLogError(RuntimeError):
    """A row of the log that must be there is not; the audit says more."""


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """A leaf's row and the event that it is of.

    Args:
        index: of the leaf, from 0.
        hash: as stored.
        event_id, position: of the event, as the leaf's row has them.
        event: as stored, not upcast; None when its row is gone.
    """

    index: int
    hash: bytes
    event_id: str
    position: int
    event: RecordedEvent | None


class MerkleLog:
    """The leaves and nodes of one log.

    Give it to an `EventStore`, which then appends each event's leaf in the event's own transaction. The
    lock that orders the leaves is taken in the round trip of the COMMIT, so it is held for that long only.

    Args:
        database: with the tables of `chassis.merklelog.schema` and the event store's.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    def record(self, tx: Transaction, events: Sequence[RecordedEvent]) -> None:
        """Append the leaves of events when the transaction commits (called by the event store).

        Raises:
            InvalidArgument: an event has no canonical form.
        """
        for event in events:
            try:
                tx.at_commit(self, _item(event))
            except CanonicalFormError as error:
                raise InvalidArgument(
                    "VALIDATION_FAILED", f"The event cannot be recorded: {error}."
                ) from error

    def commit_sql(self, items: Sequence[tuple[str, int, bytes]]) -> str:
        """The statement that appends leaves; their order becomes the log's."""
        # Ids, numbers and hexadecimal digits only, so nothing can end a literal.
        ids = ",".join(event_id for event_id, _, _ in items)
        positions = ",".join(str(position) for _, position, _ in items)
        hashes = b"".join(digest for _, _, digest in items).hex()
        return rf"SELECT log_append('{{{ids}}}', '{{{positions}}}', '\x{hashes}')"

    async def adopt(self) -> None:
        """Append the events that were there before the log, oldest first, in one transaction.

        Does nothing once the log has a leaf: an event without one is then a finding of the audit.
        """
        async with self._database.transaction() as tx:
            await tx.execute(f"SELECT pg_advisory_xact_lock({APPEND_LOCK})")
            if await self.size():
                return
            async for events in self.unlogged(_ADOPT_BATCH):
                if events:
                    await tx.execute(self.commit_sql([_item(event) for event in events]))

    async def size(self) -> int:
        """Leaves in the log."""
        return int(await self._database.fetchval(_SIZE))

    async def root(self, size: int) -> bytes:
        """Root of the tree of the first `size` leaves.

        Raises:
            DamagedLogError: a row is missing.
        """
        return fold(await self.hashes(subtrees(0, size)))

    async def inclusion_proof(self, index: int, size: int) -> tuple[bytes, ...]:
        """That a leaf is in the tree of `size` leaves.

        Raises:
            ProofError: there is no such leaf.
            DamagedLogError: a row is missing.
        """
        return await self._folded(inclusion_path(index, size))

    async def consistency_proof(self, size1: int, size2: int) -> tuple[bytes, ...]:
        """That the tree of `size1` leaves begins that of `size2`.

        Raises:
            ProofError: `size1` is 0 or above `size2`.
            DamagedLogError: a row is missing.
        """
        return await self._folded(consistency_path(size1, size2))

    async def find(self, event_id: str) -> LoggedEvent | None:
        """The leaf of an event."""
        row = await self._database.fetchrow(_LEAF_OF, event_id)
        return None if row is None else _logged(row)

    async def leaves(self, begin: int, end: int, limit: int) -> list[LoggedEvent]:
        """Leaves of `[begin, end)` in order, at most `limit`."""
        return [_logged(row) for row in await self._database.fetch(_LEAVES, begin, end, limit)]

    async def unlogged(self, batch: int) -> AsyncIterator[list[RecordedEvent]]:
        """Events without a leaf, by position; a list for each `batch` events that were looked at."""
        position: int | None = 0
        while True:
            page = await self._database.fetchrow(_UNLOGGED, position, batch)
            if page is None or (position := page["reached"]) is None:
                return
            rows = await self._database.fetch(_EVENTS, page["positions"]) if page["positions"] else []
            yield [_event(row) for row in rows]

    async def hashes(self, nodes: Sequence[Node]) -> list[bytes]:
        """Hashes of complete subtrees, in one round trip.

        Raises:
            DamagedLogError: a row is missing.
        """
        rows = await self._database.fetch(
            _NODES, [level for level, _ in nodes], [index for _, index in nodes]
        )
        found = [row["hash"] for row in rows]
        if None in found:
            level, index = nodes[found.index(None)]
            raise DamagedLogError(f"the log has lost the hash of level {level}, index {index}")
        return found

    async def _folded(self, path: Sequence[Sequence[Node]]) -> tuple[bytes, ...]:
        hashes = iter(await self.hashes(list(chain.from_iterable(path))))
        return tuple(fold([next(hashes) for _ in element]) for element in path)


def _item(event: RecordedEvent) -> tuple[str, int, bytes]:
    # The id as PostgreSQL writes it, whatever form the caller used.
    return str(UUID(event.event_id)), event.position, leaf_hash(event_leaf(event))


def _logged(row: asyncpg.Record) -> LoggedEvent:
    return LoggedEvent(
        index=row["leaf_index"],
        hash=row["hash"],
        event_id=str(row["leaf_event_id"]),
        position=row["leaf_position"],
        event=None if row["position"] is None else _event(row),
    )


def _event(row: Any) -> RecordedEvent:
    return RecordedEvent(
        position=row["position"],
        stream_id=row["stream_id"],
        version=row["version"],
        type=row["type"],
        schema_version=row["schema_version"],
        data=decode(row["data"]),
        meta=decode(row["meta"]),
        event_id=str(row["event_id"]),
        recorded_at=row["recorded_at"],
    )
