"""What a lot reached, out of the graph.

Each answer is a fixed number of statements in one snapshot, and of one position: later news neither add
to it nor take from it, which is what makes the pages of a list fit together. What is shown of a thing
(names, states) is of the snapshot.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import asyncpg

from chassis.database import Database, Transaction
from services.trace.adapters import scope_sql as sql
from services.trace.adapters.rows import lot_of, menu_item_of, order_of, shipment_of, stock_of, venue_of
from services.trace.adapters.schema import LEARNED_LOG
from services.trace.domain.answers import TracedLot
from services.trace.domain.scope import Place, RecallScope, ScopeCounts, ScopeEntry, ScopeKind

FIRST = 100
# Scopes that are worked out at a time; each holds a connection, and learning needs some too.
_AT_ONCE = 4
SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# Room for the ids of some 100,000 orders and guests at once; larger scopes go over the disk.
_ROOM = "SET LOCAL work_mem = '32MB'"


@dataclass(frozen=True, slots=True)
class _Reached:
    lots: list[str]
    by_partners: frozenset[str]


class PostgresScopeReader:
    """Implements `ScopeReader`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._room = asyncio.Semaphore(_AT_ONCE)

    async def present(self) -> int:
        return await LEARNED_LOG.read_ceiling(self._database)

    async def newest(self) -> int:
        return await LEARNED_LOG.floor(self._database)

    async def summary(self, lot_id: str, position: int) -> RecallScope | None:
        async with self._scope(lot_id, position) as (tx, reached):
            return None if reached is None else await _summary(tx, lot_id, reached, position)

    async def entries(
        self, lot_id: str, position: int, kinds: Sequence[ScopeKind], after: Place | None, limit: int
    ) -> Sequence[ScopeEntry] | None:
        async with self._scope(lot_id, position) as (tx, reached):
            if reached is None:
                return None
            found: list[ScopeEntry] = []
            for kind in kinds:
                begin = after if after is not None and after.kind is kind else Place(kind, "")
                found += await _page(tx, reached, position, begin, limit - len(found))
                if len(found) == limit:
                    break
            return found

    @asynccontextmanager
    async def _scope(self, lot_id: str, position: int) -> AsyncIterator[tuple[Transaction, _Reached | None]]:
        """A snapshot, and the lots that were made of a lot, itself included."""
        async with self._room, self._database.transaction() as tx:
            await tx.execute(f"{SNAPSHOT}; {_ROOM}")
            mentioned = await tx.fetchval(sql.RECALL_STATE, lot_id) is not None
            row = await tx.fetchrow(sql.REACHED, lot_id, position) if mentioned else None
            yield tx, None if row is None else _Reached(row["lot_ids"], frozenset(row["by_partners"]))


async def _summary(tx: Transaction, lot_id: str, reached: _Reached, position: int) -> RecallScope:
    lots = reached.lots
    counted = await tx.fetchrow(sql.COUNTS, lots, position, FIRST)
    of_lots = await tx.fetchrow(sql.LOT_COUNTS, lots, FIRST)
    assert counted is not None
    assert of_lots is not None
    counts = ScopeCounts(
        lots=len(lots),
        recalled_lots=of_lots["recalled"],
        stock=counted["stock"],
        quarantined_stock=counted["quarantined_stock"],
        venues=counted["venues"],
        menu_items=counted["menu_items"],
        orders=counted["orders"],
        guests=counted["guests"],
        shipments=await tx.fetchval(sql.MOVING_COUNT, lots, position),
        held_lots=of_lots["held"],
        destroyed_lots=of_lots["destroyed"],
        custodians=of_lots["custodians"],
        partner_lots=len(reached.by_partners),
    )
    largest = max(counts.lots, counts.shipments, *(counted[kind] for kind in _LISTED))
    return RecallScope(
        lot_id=lot_id,
        recalled=await tx.fetchval(sql.RECALL_STATE, lot_id),
        counts=counts,
        lots=tuple(await _first(tx, ScopeKind.LOT, reached, position)),
        stock=tuple(await _first(tx, ScopeKind.STOCK, reached, position)),
        venues=tuple(map(venue_of, await tx.fetch(sql.VENUES, counted["venue_ids"]))),
        menu_items=tuple(await _first(tx, ScopeKind.MENU_ITEM, reached, position)),
        orders=tuple(await _first(tx, ScopeKind.ORDER, reached, position)),
        guest_ids=tuple(counted["guest_ids"]),
        shipments=tuple(await _first(tx, ScopeKind.SHIPMENT, reached, position)),
        custodian_ids=tuple(of_lots["custodian_ids"]),
        first_order=counted["first_order"],
        last_order=counted["last_order"],
        as_of=await tx.fetchval(sql.AS_OF, position),
        position=position,
        complete=largest <= FIRST,
    )


_LISTED = ("stock", "venues", "menu_items", "orders", "guests")


_PAGES: dict[ScopeKind, tuple[str, Callable[[asyncpg.Record], Any], str]] = {
    ScopeKind.LOT: (sql.LOT_PAGE, lot_of, "lot_id"),
    ScopeKind.STOCK: (sql.STOCK_PAGE, stock_of, "stock_item_id"),
    ScopeKind.VENUE: (sql.VENUE_PAGE, venue_of, "venue_id"),
    ScopeKind.MENU_ITEM: (sql.MENU_ITEM_PAGE, menu_item_of, "menu_item_id"),
    ScopeKind.ORDER: (sql.ORDER_PAGE, order_of, "order_id"),
    ScopeKind.SHIPMENT: (sql.SHIPMENT_PAGE, shipment_of, "shipment_id"),
    ScopeKind.GUEST: (sql.GUEST_PAGE, lambda row: None, "guest_id"),
}


async def _page(
    tx: Transaction, reached: _Reached, position: int, after: Place, limit: int
) -> list[ScopeEntry]:
    kind, lots = after.kind, reached.lots
    statement, read, id_column = _PAGES[kind]
    if kind is ScopeKind.ORDER:
        rows = await tx.fetch(statement, lots, position, after.lot_id, after.entry_id, limit)
        return [ScopeEntry(Place(kind, row[id_column], row["listed_lot_id"]), read(row)) for row in rows]
    if kind is ScopeKind.SHIPMENT:
        rows = await tx.fetch(statement, lots, position, after.entry_id, after.lot_id, limit)
        return [ScopeEntry(Place(kind, row[id_column], row["lot_id"]), read(row)) for row in rows]
    rows = await tx.fetch(statement, lots, position, after.entry_id, limit)
    found = [ScopeEntry(Place(kind, row[id_column]), read(row)) for row in rows]
    return [_by_partners(entry, reached) for entry in found] if kind is ScopeKind.LOT else found


def _by_partners(entry: ScopeEntry, reached: _Reached) -> ScopeEntry:
    if isinstance(entry.what, TracedLot) and entry.what.lot_id in reached.by_partners:
        return replace(entry, what=replace(entry.what, by_partners_only=True))
    return entry


async def _first(tx: Transaction, kind: ScopeKind, reached: _Reached, position: int) -> list[Any]:
    return [entry.what for entry in await _page(tx, reached, position, Place(kind, ""), FIRST)]
