"""Purchases in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chassis.database import Database
from chassis.money import Money
from chassis.quantity import Quantity
from services.market.domain.purchase import Purchase, State


class PostgresPurchases:
    """Implements `Purchases`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, purchase: Purchase) -> bool:
        added = await self._database.fetchval(
            """
            INSERT INTO purchase (purchase_id, listing_id, lot_id, product_code, seller_id, buyer_id,
                                  request_id, request_hash, amount, unit, price_minor, price_unit,
                                  total_minor, currency, state, delivered_lot_id, delivered_lot_code,
                                  failure_reason, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
            ON CONFLICT (buyer_id, request_id) DO NOTHING RETURNING true
            """,
            purchase.purchase_id,
            purchase.listing_id,
            purchase.lot_id,
            purchase.product_code,
            purchase.seller_id,
            purchase.buyer_id,
            purchase.request_id,
            purchase.request_hash,
            purchase.quantity.amount,
            purchase.quantity.unit,
            purchase.unit_price.minor,
            purchase.price_unit,
            purchase.total.minor,
            purchase.total.currency,
            purchase.state.value,
            purchase.delivered_lot_id,
            purchase.delivered_lot_code,
            purchase.failure_reason,
            purchase.created_at,
            purchase.updated_at,
        )
        return bool(added)

    async def get(self, purchase_id: str, *, lock: bool = False) -> Purchase | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(
            f"SELECT * FROM purchase WHERE purchase_id = $1{suffix}", purchase_id
        )
        return _purchase(row) if row else None

    async def of_request(self, buyer_id: str, request_id: str) -> Purchase | None:
        row = await self._database.fetchrow(
            "SELECT * FROM purchase WHERE buyer_id = $1 AND request_id = $2", buyer_id, request_id
        )
        return _purchase(row) if row else None

    async def save(self, purchase: Purchase) -> None:
        await self._database.execute(
            """
            UPDATE purchase SET state = $2, delivered_lot_id = $3, delivered_lot_code = $4,
                failure_reason = $5, updated_at = $6
            WHERE purchase_id = $1
            """,
            purchase.purchase_id,
            purchase.state.value,
            purchase.delivered_lot_id,
            purchase.delivered_lot_code,
            purchase.failure_reason,
            purchase.updated_at,
        )

    async def page(
        self,
        buyer_id: str | None,
        seller_id: str | None,
        listing_id: str | None,
        before: str | None,
        limit: int,
    ) -> Sequence[Purchase]:
        rows = await self._database.fetch(
            """
            SELECT * FROM purchase
            WHERE (($1::uuid IS NULL AND $2::uuid IS NULL) OR buyer_id = $1 OR seller_id = $2)
              AND ($3::uuid IS NULL OR listing_id = $3)
              AND ($4::uuid IS NULL OR purchase_id < $4)
            ORDER BY purchase_id DESC LIMIT $5
            """,
            buyer_id,
            seller_id,
            listing_id,
            before,
            limit,
        )
        return [_purchase(row) for row in rows]

    async def prices(
        self, product_code: str, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[Purchase]:
        ended, purchase_id = before or (None, None)
        rows = await self._database.fetch(
            """
            SELECT * FROM purchase
            WHERE product_code = $1 AND state = 'COMPLETED'
              AND ($2::timestamptz IS NULL OR (updated_at, purchase_id) < ($2, $3::uuid))
            ORDER BY updated_at DESC, purchase_id DESC LIMIT $4
            """,
            product_code,
            ended,
            purchase_id,
            limit,
        )
        return [_purchase(row) for row in rows]


def _purchase(row: asyncpg.Record) -> Purchase:
    return Purchase(
        purchase_id=str(row["purchase_id"]),
        listing_id=str(row["listing_id"]),
        lot_id=str(row["lot_id"]),
        product_code=row["product_code"],
        seller_id=str(row["seller_id"]),
        buyer_id=str(row["buyer_id"]),
        request_id=str(row["request_id"]),
        request_hash=row["request_hash"],
        quantity=Quantity(row["amount"], row["unit"]),
        unit_price=Money(row["price_minor"], row["currency"]),
        price_unit=row["price_unit"],
        total=Money(row["total_minor"], row["currency"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        state=State(row["state"]),
        delivered_lot_id=row["delivered_lot_id"],
        delivered_lot_code=row["delivered_lot_code"],
        failure_reason=row["failure_reason"],
    )
