"""Recalls and their progress out of PostgreSQL, each answer from one snapshot."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime

import asyncpg

from chassis.database import Database, Transaction
from chassis.money import Money
from services.trace.adapters import recall_sql as sql
from services.trace.adapters import scope_sql
from services.trace.adapters.scope import SNAPSHOT
from services.trace.domain.recall import Call, Count, Entry, EntryKind, EntryState

# As many connections as recalls are worked out at a time; the scopes' own come on top.
_AT_ONCE = 2


class PostgresRecallReader:
    """Implements `RecallReader` and `RecallRounds`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def call(self, recall_id: str) -> Call | None:
        row = await self._database.fetchrow(sql.CALL, recall_id)
        return _call(row) if row else None

    async def heard(self, recall_id: str) -> int | None:
        heard: int | None = await self._database.fetchval(sql.HEARD, recall_id)
        return heard

    async def to_look_at(self, limit: int) -> Sequence[str]:
        return [row["recall_id"] for row in await self._database.fetch(sql.TO_LOOK_AT, limit)]

    async def settle(self, recall_id: str, heard: int, at: datetime | None) -> None:
        await self._database.execute(sql.SETTLE, recall_id, heard, at)

    async def knows_lot(self, lot_id: str) -> bool:
        return await self._database.fetchval(scope_sql.RECALL_STATE, lot_id) is not None

    async def page(
        self, root_lot_id: str | None, open_only: bool, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Call]:
        after = before or (None, None)
        rows = await self._database.fetch(sql.CALL_PAGE, root_lot_id, open_only, *after, limit)
        return [_call(row) for row in rows]

    async def progress(self, call: Call) -> tuple[Mapping[EntryKind, Count], Sequence[Money]]:
        async with self._snapshot() as tx:
            counted = await tx.fetch(sql.COUNTS, *await _scope(tx, call))
            refunded = await tx.fetch(sql.REFUNDED, call.recall_id)
        counts = {
            EntryKind(row["kind"]): Count(row["expected"], row["done"], row["failed"]) for row in counted
        }
        return counts, [Money(row["minor"], row["currency"]) for row in refunded]

    async def entries(
        self,
        call: Call,
        kinds: Sequence[EntryKind],
        outstanding_only: bool,
        after: tuple[EntryKind, str] | None,
        limit: int,
    ) -> Sequence[Entry]:
        async with self._snapshot() as tx:
            rows = await tx.fetch(
                sql.ENTRY_PAGE,
                *await _scope(tx, call),
                [int(kind) for kind in kinds],
                outstanding_only,
                *(after or (0, "")),
                limit,
            )
        return [
            Entry(EntryKind(row["kind"]), row["entry_id"], EntryState(row["state"]), row["venue_id"])
            for row in rows
        ]

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Transaction]:
        async with self._room, self._database.transaction() as tx:
            await tx.execute(SNAPSHOT)
            yield tx


async def _scope(tx: Transaction, call: Call) -> tuple[list[str], int, str, bool]:
    """What the statements need to know of a recall: lots, position, name, and whether the graph counts."""
    lots = {row["lot_id"] for row in await tx.fetch(sql.HEARD_LOTS, call.recall_id)}
    if call.open:
        reached = await tx.fetchrow(scope_sql.REACHED, call.root_lot_id, int(scope_sql.NOW))
        assert reached is not None
        # Crops follows its own descent only: nobody marks what partners alone say was made of the lot.
        lots.update(set(reached["lot_ids"]).difference(reached["by_partners"]))
    position = int(scope_sql.NOW) if call.position is None else call.position
    return sorted(lots), position, call.recall_id, call.open


def _call(row: asyncpg.Record) -> Call:
    return Call(
        recall_id=row["recall_id"],
        root_lot_id=row["root_lot_id"],
        recall_class=row["recall_class"],
        reason=row["reason"],
        begun_at=row["begun_at"],
        position=row["position"],
        released_at=row["released_at"],
        root_released_at=row["root_released_at"],
    )
