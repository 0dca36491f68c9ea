"""Stock and reservations in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chassis.database import Database
from chassis.quantity import Quantity
from services.inventory.domain.reservation import Reservation, State
from services.inventory.domain.stock import Allocation, Need, StockItem

# Whoever locks several stock items locks them in this order, so that nobody waits in a circle.
_LOCK_ORDER = "ORDER BY stock_item_id FOR UPDATE"
_LOT_LOCKS = 1  # first half of the advisory lock that a receipt and a recall of one lot contend for


class PostgresStock:
    """Implements `Stock`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, item: StockItem) -> None:
        await self._database.execute(
            """
            INSERT INTO stock_item (stock_item_id, venue_id, lot_id, product_code, on_hand, reserved, unit,
                                    expires_at, received_at, quarantined)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
            """,
            item.stock_item_id,
            item.venue_id,
            item.lot_id,
            item.product_code,
            item.on_hand.amount,
            item.reserved.amount,
            item.on_hand.unit,
            item.expires_at,
            item.received_at,
            item.quarantined,
        )

    async def get(self, stock_item_id: str) -> StockItem | None:
        row = await self._database.fetchrow(
            "SELECT * FROM stock_item WHERE stock_item_id = $1", stock_item_id
        )
        return _item(row) if row else None

    async def page(
        self,
        venue_id: str,
        product_code: str | None,
        lot_id: str | None,
        after: tuple[datetime, str] | None,
        limit: int,
    ) -> Sequence[StockItem]:
        expires_at, stock_item_id = after or (None, None)
        rows = await self._database.fetch(
            """
            SELECT * FROM stock_item
            WHERE venue_id = $1
              AND ($2::text IS NULL OR product_code = $2)
              AND ($3::uuid IS NULL OR lot_id = $3)
              AND ($4::timestamptz IS NULL OR (expires_at, stock_item_id) > ($4, $5::uuid))
            ORDER BY expires_at, stock_item_id LIMIT $6
            """,
            venue_id,
            product_code,
            lot_id,
            expires_at,
            stock_item_id,
            limit,
        )
        return [_item(row) for row in rows]

    async def lock_for(self, venue_id: str, needs: Sequence[Need]) -> Sequence[StockItem]:
        rows = await self._database.fetch(
            f"""
            SELECT * FROM stock_item
            WHERE venue_id = $1 AND on_hand > 0
              AND (product_code = ANY($2::text[]) OR lot_id = ANY($3::uuid[]))
            {_LOCK_ORDER}
            """,
            venue_id,
            [need.product_code for need in needs if not need.lot_id],
            [need.lot_id for need in needs if need.lot_id],
        )
        return [_item(row) for row in rows]

    async def quarantine(self, lot_id: str, reason: str) -> Sequence[StockItem]:
        await self._database.execute(
            "INSERT INTO quarantined_lot (lot_id, reason) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            lot_id,
            reason,
        )
        rows = await self._database.fetch(
            f"""
            WITH affected AS (
                SELECT stock_item_id FROM stock_item WHERE lot_id = $1 AND NOT quarantined {_LOCK_ORDER}
            )
            UPDATE stock_item SET quarantined = true
            WHERE stock_item_id IN (SELECT stock_item_id FROM affected) RETURNING *
            """,
            lot_id,
        )
        return [_item(row) for row in rows]

    async def is_quarantined(self, lot_id: str) -> bool:
        return bool(
            await self._database.fetchval(
                "SELECT EXISTS (SELECT 1 FROM quarantined_lot WHERE lot_id = $1)", lot_id
            )
        )

    async def lock_lot(self, lot_id: str) -> None:
        await self._database.execute("SELECT pg_advisory_xact_lock($1, hashtext($2))", _LOT_LOCKS, lot_id)


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

    async def lock_stock(self, reservation: Reservation) -> bool:
        rows = await self._database.fetch(
            f"""
            SELECT quarantined FROM stock_item
            WHERE stock_item_id IN (SELECT stock_item_id FROM allocation WHERE order_id = $1) {_LOCK_ORDER}
            """,
            reservation.order_id,
        )
        return any(row["quarantined"] for row in rows)

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


def _allocation(row: asyncpg.Record) -> Allocation:
    quantity = Quantity(row["amount"], row["unit"])
    return Allocation(str(row["menu_item_id"]), str(row["stock_item_id"]), str(row["lot_id"]), quantity)


def _item(row: asyncpg.Record) -> StockItem:
    return StockItem(
        stock_item_id=str(row["stock_item_id"]),
        venue_id=str(row["venue_id"]),
        lot_id=str(row["lot_id"]),
        product_code=row["product_code"],
        on_hand=Quantity(row["on_hand"], row["unit"]),
        reserved=Quantity(row["reserved"], row["unit"]),
        expires_at=row["expires_at"],
        received_at=row["received_at"],
        quarantined=row["quarantined"],
    )
