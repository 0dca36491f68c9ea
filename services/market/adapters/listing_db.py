"""Listings and what is known of their lots in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chassis.database import Database
from chassis.money import Money
from chassis.quantity import Quantity
from services.market.application.ports import ListingFilter
from services.market.domain.listing import Block, Listing

_OVERDUE = "NOT cancelled AND NOT expired AND remaining > 0"
"""What expires with its goods, as the index of the sweep has it."""


class PostgresListings:
    """Implements `Listings`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, listing: Listing) -> None:
        await self._database.execute(
            """
            INSERT INTO listing (listing_id, seller_id, lot_id, lot_code, product_code, commitment_id, unit,
                                 quantity, remaining, taken, price_minor, currency, price_unit, cancelled,
                                 block_reason, state, expires_at, created_at, updated_at, expired)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
            """,
            listing.listing_id,
            listing.seller_id,
            listing.lot_id,
            listing.lot_code,
            listing.product_code,
            listing.commitment_id,
            listing.quantity.unit,
            listing.quantity.amount,
            listing.remaining.amount,
            listing.taken.amount,
            listing.unit_price.minor,
            listing.unit_price.currency,
            listing.price_unit,
            listing.cancelled,
            listing.block.value,
            listing.state.value,
            listing.expires_at,
            listing.created_at,
            listing.updated_at,
            listing.expired,
        )

    async def get(self, listing_id: str, *, lock: bool = False) -> Listing | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(
            f"SELECT * FROM listing WHERE listing_id = $1{suffix}", listing_id
        )
        return _listing(row) if row else None

    async def save(self, listing: Listing) -> None:
        await self._database.execute(
            """
            UPDATE listing SET remaining = $2, taken = $3, cancelled = $4, block_reason = $5, state = $6,
                updated_at = $7, expired = $8
            WHERE listing_id = $1
            """,
            listing.listing_id,
            listing.remaining.amount,
            listing.taken.amount,
            listing.cancelled,
            listing.block.value,
            listing.state.value,
            listing.updated_at,
            listing.expired,
        )

    async def of_lot(self, lot_id: str) -> Sequence[Listing]:
        rows = await self._database.fetch(
            """
            SELECT * FROM listing WHERE lot_id = $1 AND NOT cancelled AND NOT expired
            ORDER BY listing_id FOR UPDATE
            """,
            lot_id,
        )
        return [_listing(row) for row in rows]

    async def overdue(self, now: datetime, limit: int) -> Sequence[str]:
        rows = await self._database.fetch(
            f"""
            SELECT listing_id FROM listing WHERE {_OVERDUE} AND expires_at <= $1
            ORDER BY expires_at LIMIT $2
            """,
            now,
            limit,
        )
        return [str(row["listing_id"]) for row in rows]

    async def page(
        self, where: ListingFilter, before: str | None, limit: int, now: datetime
    ) -> Sequence[Listing]:
        rows = await self._database.fetch(
            f"""
            SELECT * FROM listing
            WHERE ($1::text = '' OR product_code = $1)
              AND ($2::uuid IS NULL OR lot_id = $2)
              AND ($3::uuid IS NULL OR seller_id = $3)
              AND ($4::uuid IS NULL OR lot_id IN (
                  SELECT lot_id FROM collection_lot WHERE collection_id = $4))
              AND ($5::text = ''
                   OR $5 = CASE WHEN {_OVERDUE} AND expires_at <= $8 THEN 'EXPIRED' ELSE state END)
              AND ($6::uuid IS NULL OR listing_id < $6)
            ORDER BY listing_id DESC LIMIT $7
            """,
            where.product_code,
            where.lot_id or None,
            where.seller_id or None,
            where.collection_id or None,
            where.state.value if where.state else "",
            before,
            limit,
            now,
        )
        return [_listing(row) for row in rows]


class PostgresStandings:
    """Implements `Standings`: one row a lot, which is locked to keep its listings and its recalls apart."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def locked(self, lot_id: str) -> Block:
        held = await self._database.fetchval(
            """
            INSERT INTO lot_standing (lot_id) VALUES ($1)
            ON CONFLICT (lot_id) DO UPDATE SET lot_id = EXCLUDED.lot_id RETURNING held
            """,
            lot_id,
        )
        recalled = await self._database.fetchval(
            "SELECT EXISTS (SELECT 1 FROM lot_recall WHERE lot_id = $1 AND NOT released)", lot_id
        )
        if recalled:
            return Block.RECALLED
        return Block.HELD if held else Block.NONE

    async def recalled(self, lot_id: str, recall_id: str, *, released: bool) -> Block:
        async with self._database.transaction() as tx:
            await self.locked(lot_id)
            await tx.execute(
                """
                INSERT INTO lot_recall (lot_id, recall_id, released) VALUES ($1, $2, $3)
                ON CONFLICT (lot_id, recall_id) DO UPDATE SET released = lot_recall.released OR $3
                """,
                lot_id,
                recall_id,
                released,
            )
            return await self.locked(lot_id)

    async def held(self, lot_id: str, *, held: bool, at: datetime) -> Block:
        async with self._database.transaction() as tx:
            await self.locked(lot_id)
            await tx.execute(
                """
                UPDATE lot_standing SET held = $2, held_changed_at = $3
                WHERE lot_id = $1 AND held_changed_at < $3
                """,
                lot_id,
                held,
                at,
            )
            return await self.locked(lot_id)


def _listing(row: asyncpg.Record) -> Listing:
    unit = row["unit"]
    return Listing(
        listing_id=str(row["listing_id"]),
        seller_id=str(row["seller_id"]),
        lot_id=str(row["lot_id"]),
        lot_code=row["lot_code"],
        product_code=row["product_code"],
        commitment_id=str(row["commitment_id"]),
        quantity=Quantity(row["quantity"], unit),
        remaining=Quantity(row["remaining"], unit),
        taken=Quantity(row["taken"], unit),
        unit_price=Money(row["price_minor"], row["currency"]),
        price_unit=row["price_unit"],
        expires_at=row["expires_at"],
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        cancelled=row["cancelled"],
        block=Block(row["block_reason"]),
        expired=row["expired"],
    )
