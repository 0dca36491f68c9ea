"""The journal out of the database."""

import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from decimal import Decimal
from typing import Any

import asyncpg

from chassis.database import Database, Transaction
from chassis.quantity import Quantity
from services.trace.adapters import journal_sql as sql
from services.trace.adapters.db import UP
from services.trace.adapters.schema import LEARNED_LOG
from services.trace.adapters.scope import SNAPSHOT
from services.trace.adapters.scope_sql import MOVING_BY_PARTNERS, NOW, REACHED
from services.trace.domain.cold_chain import Stay, stays, until, windows
from services.trace.domain.gaps import Origins
from services.trace.domain.journal import Entry, EntryKind, Reading
from services.trace.domain.records import Record, RecordedLot, Selection
from services.trace.domain.reports import Way, Ways

PAGE = 500
# So many lots of an export are looked up at a time.
_LOTS = 200


class PostgresJournal:
    """Implements `JournalReader`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def known(self, lot_id: str) -> bool:
        return bool(await self._database.fetchval(sql.KNOWN, lot_id))

    async def lots_of(self, holder_id: str, after: str, limit: int) -> Sequence[str]:
        rows = await self._database.fetch(sql.LOTS_OF, holder_id, after, limit)
        return [row["lot_id"] for row in rows]

    async def history(self, lot_ids: Sequence[str]) -> Mapping[str, Sequence[Entry]]:
        found: dict[str, list[Entry]] = {lot_id: [] for lot_id in lot_ids}
        for row in await self._database.fetch(sql.HISTORY, list(lot_ids)):
            found[row["lot_id"]].append(entry_of(row))
        return found

    async def transformations(self, ids: Sequence[str]) -> Mapping[str, Sequence[Entry]]:
        found: dict[str, list[Entry]] = {name: [] for name in ids}
        for row in await self._database.fetch(sql.TRANSFORMATIONS, list(ids)):
            found[row["reference"]].append(entry_of(row))
        return found

    async def descent(self, lot_id: str) -> Origins:
        async with self._snapshot() as tx:
            above = {row["lot_id"] for row in await tx.fetch(UP, [lot_id])}
            edges = await tx.fetch(sql.EDGES, list(above))
            minted = await tx.fetch(sql.MINTED_AT, lot_id)
            expire_time = await tx.fetchval(sql.EXPIRES, lot_id)
        return Origins(
            sources={row["lot_id"]: row["at"] for row in minted},
            own_ancestor=any(edge["parent_id"] == lot_id for edge in edges),
            expire_time=expire_time,
        )

    async def ways(self, lot_id: str) -> Ways:
        async with self._snapshot() as tx:
            under_way = await tx.fetch(MOVING_BY_PARTNERS, [lot_id], int(NOW))
            unannounced = await tx.fetch(sql.UNANNOUNCED, lot_id)
        return Ways(
            open=tuple(
                Way(event_id=row["shipment_id"], party_id=row["to_id"], at=row["shipped_at"])
                for row in under_way
            ),
            unannounced=tuple(
                Way(event_id=row["event_id"], party_id=row["to_id"] or row["reported_by"], at=row["at"])
                for row in unannounced
            ),
        )

    async def readings(self, lot_id: str) -> AsyncGenerator[Reading]:
        async with self._snapshot() as tx:
            above = [row["lot_id"] for row in await tx.fetch(UP, [lot_id])]
            sources: dict[str, list[tuple[str, Any]]] = {}
            for edge in await tx.fetch(sql.EDGES, above):
                sources.setdefault(edge["child_id"], []).append((edge["parent_id"], edge["at"]))
            concerned = until(lot_id, sources)
            own = list(_stays(await tx.fetch(sql.STAYS, list(concerned))))
            units = list({stay.unit_id for stay in own})
            beside = _stays(await tx.fetch(sql.BESIDE, units, list(concerned)))
            seen = list(windows(concerned, own, beside))
            arguments = (
                [window.lot_id for window in seen],
                [window.start for window in seen],
                [window.end for window in seen],
                [window.carried for window in seen],
            )
            async for row in tx.connection.cursor(sql.READINGS, *arguments, prefetch=1000):
                yield Reading(
                    lot_id=row["lot_id"],
                    event_id=row["event_id"],
                    number=row["number"],
                    start=row["start_at"],
                    end=row["end_at"],
                    celsius=row["celsius"],
                    device_id=row["device_id"],
                    reported_by=row["reported_by"],
                )

    async def related(self, lot_ids: Sequence[str]) -> Sequence[str]:
        async with self._snapshot() as tx:
            found = {row["lot_id"] for row in await tx.fetch(UP, list(lot_ids))}
            for lot_id in lot_ids:
                found.update(await tx.fetchval(REACHED, lot_id, int(NOW)))
        return sorted(found)

    async def records(self, selection: Selection) -> AsyncIterator[Sequence[Record]]:
        # Entries are only added: those up to a position are the same however long the export takes, without a
        # transaction that stays open.
        position = await LEARNED_LOG.read_ceiling(self._database)
        bounds = (position, selection.start, selection.end)
        if selection.lot_ids is None:
            async for page in self._pages(sql.RECORDS, bounds):
                yield page
            return
        for start in range(0, len(selection.lot_ids), _LOTS):
            some = list(selection.lot_ids[start : start + _LOTS])
            async for page in self._pages(sql.RECORDS_OF_LOTS, bounds, some):
                yield page

    async def _pages(
        self, statement: str, bounds: tuple[Any, ...], *lots: list[str]
    ) -> AsyncIterator[Sequence[Record]]:
        last: tuple[Any, ...] = (None, "", "", "", 0)
        while True:
            rows = await self._database.fetch(statement, *bounds, PAGE, *last, *lots)
            if rows:
                yield list(map(record_of, rows))
            if len(rows) < PAGE:
                return
            last = tuple(rows[-1][name] for name in ("at", "lot_id", "event_id", "kind", "number"))

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Transaction]:
        async with self._database.transaction() as tx:
            await tx.execute(SNAPSHOT)
            yield tx


def entry_of(row: asyncpg.Record) -> Entry:
    """A row of journal."""
    return Entry(
        lot_id=row["lot_id"],
        event_id=row["event_id"],
        kind=EntryKind(row["kind"]),
        number=row["number"],
        at=row["at"],
        recorded=row["recorded_at"],
        utc_offset=row["utc_offset"],
        quantity=_quantity(row["amount"], row["unit"]),
        remaining=_quantity(row["remaining_amount"], row["remaining_unit"]),
        party_id=row["party_id"],
        other_id=row["other_id"],
        reference=row["reference"],
        read_point=row["read_point"],
        biz_location=row["biz_location"],
        documents=tuple((kind, number) for kind, number in json.loads(row["documents"])),
        detail=json.loads(row["detail"]),
        declared_wrong=row["declared_wrong"],
    )


def record_of(row: asyncpg.Record) -> Record:
    """An entry with what its row in a spreadsheet needs besides."""
    lot = RecordedLot(
        lot_code=row["lot_code"] or "",
        product_code=row["product_code"] or "",
        harvest_time=row["harvest_time"],
        origin=json.loads(row["origin"]),
        next_place=row["next_place"] or "",
    )
    return Record(entry=entry_of(row), lot=lot, party_name=row["party_name"], voided=row["voided"])


def _quantity(amount: Decimal | None, unit: str | None) -> Quantity | None:
    return None if amount is None or unit is None else Quantity(amount, unit)


def _stays(rows: Iterable[asyncpg.Record]) -> Iterable[Stay]:
    return stays((row["lot_id"], row["unit_id"], row["at"], row["packed"]) for row in rows)
