"""Stock in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chassis.database import Database
from chassis.quantity import Quantity
from services.inventory.domain.stock import Block, Need, StockItem

LOCK_ORDER = "ORDER BY stock_item_id FOR UPDATE"
"""Whoever locks several stock items locks them in this order, so that nobody waits in a circle."""

_LOT_LOCKS = 1  # first half of the advisory lock that a receipt and a recall of one lot contend for


class PostgresStock:
    """Implements `Stock`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, item: StockItem) -> None:
        await self._database.execute(
            """
            INSERT INTO stock_item (stock_item_id, venue_id, lot_id, product_code, on_hand, reserved, unit,
                                    expires_at, received_at, quarantined, held)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
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
            item.held,
        )

    async def get(self, stock_item_id: str) -> StockItem | None:
        row = await self._database.fetchrow(
            "SELECT * FROM stock_item WHERE stock_item_id = $1", stock_item_id
        )
        return item_from(row) if row else None

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
        return [item_from(row) for row in rows]

    async def lock_for(self, venue_id: str, needs: Sequence[Need]) -> Sequence[StockItem]:
        rows = await self._database.fetch(
            f"""
            SELECT * FROM stock_item
            WHERE venue_id = $1 AND on_hand > 0
              AND (product_code = ANY($2::text[]) OR lot_id = ANY($3::uuid[]))
            {LOCK_ORDER}
            """,
            venue_id,
            [need.product_code for need in needs if not need.lot_id],
            [need.lot_id for need in needs if need.lot_id],
        )
        return [item_from(row) for row in rows]

    async def block(self, recall_id: str, lot_ids: Sequence[str], reason: str) -> Sequence[StockItem]:
        added = await self._database.fetch(
            """
            INSERT INTO quarantined_lot (lot_id, recall_id, reason)
            SELECT DISTINCT lot_id, $1, $3 FROM unnest($2::uuid[]) AS lot_id
            ON CONFLICT DO NOTHING RETURNING lot_id
            """,
            recall_id,
            lot_ids,
            reason,
        )
        return await self._mark([row["lot_id"] for row in added], quarantined=True)

    async def lift(self, recall_id: str, lot_id: str) -> Sequence[StockItem]:
        left = await self._database.fetchval(
            """
            WITH ended AS (
                INSERT INTO quarantined_lot (lot_id, recall_id, reason, lifted) VALUES ($1, $2, '', true)
                ON CONFLICT (lot_id, recall_id) DO UPDATE SET lifted = true
            ), nameless AS (
                -- Of one lot crops ends whatever recall holds it, also one from before they had names.
                UPDATE quarantined_lot SET lifted = true WHERE lot_id = $1 AND recall_id = ''
            )
            SELECT EXISTS (
                SELECT 1 FROM quarantined_lot WHERE lot_id = $1 AND NOT lifted AND recall_id NOT IN ($2, '')
            )
            """,
            lot_id,
            recall_id,
        )
        return [] if left else await self._mark([lot_id], quarantined=False)

    async def _mark(self, lot_ids: Sequence[object], *, quarantined: bool) -> Sequence[StockItem]:
        """Lock the stock of lots and give it; of what is set free only what was blocked."""
        rows = await self._database.fetch(
            f"""
            WITH affected AS (
                SELECT stock_item_id FROM stock_item
                WHERE lot_id = ANY($1::uuid[]) AND (quarantined OR $2) {LOCK_ORDER}
            )
            UPDATE stock_item SET quarantined = $2
            WHERE stock_item_id IN (SELECT stock_item_id FROM affected) RETURNING *
            """,
            lot_ids,
            quarantined,
        )
        return [item_from(row) for row in rows]

    async def hold(self, lot_id: str, *, ended: bool) -> None:
        await self._database.execute(
            f"""
            WITH counted AS (
                INSERT INTO lot_hold (lot_id, begun, ended) VALUES ($1, 1 - $2::int, $2::int)
                ON CONFLICT (lot_id) DO UPDATE
                    SET begun = lot_hold.begun + excluded.begun, ended = lot_hold.ended + excluded.ended
                RETURNING begun > ended AS held
            ), affected AS (
                SELECT stock_item_id FROM stock_item WHERE lot_id = $1 {LOCK_ORDER}
            )
            UPDATE stock_item SET held = counted.held FROM counted
            WHERE stock_item_id IN (SELECT stock_item_id FROM affected)
            """,
            lot_id,
            int(ended),
        )

    async def block_of(self, lot_id: str) -> Block | None:
        row = await self._database.fetchrow(
            """
            SELECT EXISTS (SELECT 1 FROM quarantined_lot WHERE lot_id = $1 AND NOT lifted) AS recalled,
                   EXISTS (SELECT 1 FROM lot_hold WHERE lot_id = $1 AND begun > ended) AS held
            """,
            lot_id,
        )
        if row and row["recalled"]:
            return Block.RECALL
        return Block.HOLD if row and row["held"] else None

    async def lock_lots(self, lot_ids: Sequence[str]) -> None:
        await self._database.execute(
            """
            SELECT pg_advisory_xact_lock($1, lot)
            FROM (SELECT DISTINCT hashtext(id) AS lot FROM unnest($2::text[]) AS id ORDER BY lot) AS wanted
            """,
            _LOT_LOCKS,
            lot_ids,
        )


def item_from(row: asyncpg.Record) -> StockItem:
    """A row of stock_item."""
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
        held=row["held"],
    )
