"""Reservations in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chassis.database import Database
from chassis.quantity import Quantity
from services.inventory.adapters.db import LOCK_ORDER, item_from
from services.inventory.domain.events import OrderAffected
from services.inventory.domain.reservation import Reservation, State
from services.inventory.domain.stock import Allocation, Block


class PostgresReservations:
    """Implements `Reservations`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, reservation: Reservation) -> bool:
        added = await self._database.fetchval(
            """
            INSERT INTO reservation (order_id, venue_id, state, expires_at) VALUES ($1, $2, $3, $4)
            ON CONFLICT (order_id) DO NOTHING RETURNING true
            """,
            reservation.order_id,
            reservation.venue_id or None,
            reservation.state.value,
            reservation.expires_at,
        )
        if added and reservation.allocations:
            await self._bind(reservation)
        return bool(added)

    async def _bind(self, reservation: Reservation) -> None:
        allocations = reservation.allocations
        await self._database.execute(
            """
            WITH wanted AS (
                SELECT * FROM unnest($2::uuid[], $3::uuid[], $4::uuid[], $5::numeric[], $6::text[])
                    WITH ORDINALITY AS w (menu_item_id, stock_item_id, lot_id, amount, unit, line)
            ), kept AS (
                INSERT INTO allocation (order_id, line, menu_item_id, stock_item_id, lot_id, amount, unit)
                SELECT $1, line, menu_item_id, stock_item_id, lot_id, amount, unit FROM wanted
            )
            UPDATE stock_item s SET reserved = s.reserved + w.amount
            FROM (SELECT stock_item_id, sum(amount) AS amount FROM wanted GROUP BY stock_item_id) w
            WHERE s.stock_item_id = w.stock_item_id
            """,
            reservation.order_id,
            [allocation.menu_item_id for allocation in allocations],
            [allocation.stock_item_id for allocation in allocations],
            [allocation.lot_id for allocation in allocations],
            [allocation.quantity.amount for allocation in allocations],
            [allocation.quantity.unit for allocation in allocations],
        )

    async def get(self, order_id: str, *, lock: bool = False) -> Reservation | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(
            f"SELECT * FROM reservation WHERE order_id = $1{suffix}", order_id
        )
        return await self._with_allocations(row) if row else None

    async def confirm(self, reservation: Reservation) -> None:
        await self._set_state(reservation)

    async def unbind(self, reservation: Reservation) -> None:
        await self.lock_stock(reservation)
        await self._change_stock(reservation, "reserved = s.reserved - a.amount")
        await self._set_state(reservation)

    async def consume(self, reservation: Reservation) -> None:
        await self._change_stock(
            reservation, "reserved = s.reserved - a.amount, on_hand = s.on_hand - a.amount"
        )
        await self._set_state(reservation)

    async def lock_expired(self, at: datetime) -> Reservation | None:
        row = await self._database.fetchrow(
            """
            SELECT * FROM reservation WHERE state = 'HELD' AND expires_at < $1
            ORDER BY expires_at LIMIT 1 FOR UPDATE SKIP LOCKED
            """,
            at,
        )
        return await self._with_allocations(row) if row else None

    async def lock_stock(self, reservation: Reservation) -> Block | None:
        rows = await self._database.fetch(
            f"""
            SELECT * FROM stock_item
            WHERE stock_item_id IN (SELECT stock_item_id FROM allocation WHERE order_id = $1) {LOCK_ORDER}
            """,
            reservation.order_id,
        )
        blocks = {item_from(row).block for row in rows}
        return next((block for block in Block if block in blocks), None)

    async def affected(self, recall_id: str, stock_item_ids: Sequence[str]) -> Sequence[OrderAffected]:
        rows = await self._database.fetch(
            """
            WITH served AS (
                SELECT r.order_id, r.venue_id, r.state = 'CONSUMED' AS consumed,
                       array_agg(DISTINCT a.lot_id) AS lot_ids
                FROM allocation a JOIN reservation r USING (order_id)
                WHERE a.stock_item_id = ANY($2::uuid[]) AND r.state IN ('HELD', 'CONFIRMED', 'CONSUMED')
                GROUP BY r.order_id
            ), told AS (
                INSERT INTO affected_order (recall_id, order_id, consumed)
                SELECT $1, order_id, consumed FROM served ORDER BY order_id
                ON CONFLICT DO NOTHING RETURNING order_id
            )
            SELECT served.* FROM served JOIN told USING (order_id) ORDER BY order_id
            """,
            recall_id,
            stock_item_ids,
        )
        return [_affected(recall_id, row) for row in rows]

    async def _change_stock(self, reservation: Reservation, change: str) -> None:
        # The caller has locked the stock.
        await self._database.execute(
            f"""
            UPDATE stock_item s SET {change}
            FROM (SELECT stock_item_id, sum(amount) AS amount FROM allocation
                  WHERE order_id = $1 GROUP BY stock_item_id) a
            WHERE s.stock_item_id = a.stock_item_id
            """,
            reservation.order_id,
        )

    async def _set_state(self, reservation: Reservation) -> None:
        await self._database.execute(
            "UPDATE reservation SET state = $2 WHERE order_id = $1",
            reservation.order_id,
            reservation.state.value,
        )

    async def _with_allocations(self, row: asyncpg.Record) -> Reservation:
        allocated = await self._database.fetch(
            "SELECT * FROM allocation WHERE order_id = $1 ORDER BY line", row["order_id"]
        )
        return Reservation(
            order_id=str(row["order_id"]),
            venue_id=str(row["venue_id"] or ""),
            state=State(row["state"]),
            expires_at=row["expires_at"],
            allocations=tuple(map(_allocation, allocated)),
        )


def _affected(recall_id: str, row: asyncpg.Record) -> OrderAffected:
    return OrderAffected(
        recall_id=recall_id,
        order_id=str(row["order_id"]),
        venue_id=str(row["venue_id"]),
        lot_ids=tuple(map(str, row["lot_ids"])),
        consumed=row["consumed"],
    )


def _allocation(row: asyncpg.Record) -> Allocation:
    quantity = Quantity(row["amount"], row["unit"])
    return Allocation(str(row["menu_item_id"]), str(row["stock_item_id"]), str(row["lot_id"]), quantity)
