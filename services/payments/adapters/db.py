"""Payments in PostgreSQL."""

from collections.abc import Sequence

import asyncpg

from chassis.database import Database
from chassis.money import Money
from services.payments.domain.payment import Payment, Refund, State


class PostgresPayments:
    """Implements `Payments`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, payment: Payment) -> bool:
        inserted = await self._database.fetchval(
            """
            INSERT INTO payment (payment_id, order_id, payer_id, amount_minor, currency, method, state,
                                 decline_code, refunded_minor, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (order_id) DO NOTHING RETURNING true
            """,
            payment.payment_id,
            payment.order_id,
            payment.payer_id,
            payment.amount.minor if payment.amount else None,
            payment.amount.currency if payment.amount else None,
            payment.method,
            payment.state.value,
            payment.decline_code,
            payment.refunded_minor,
            payment.created_at,
            payment.updated_at,
        )
        return bool(inserted)

    async def of_order(self, order_id: str, *, lock: bool = False) -> Payment | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(f"SELECT * FROM payment WHERE order_id = $1{suffix}", order_id)
        return _payment(row) if row else None

    async def save(self, payment: Payment) -> None:
        await self._database.execute(
            """
            UPDATE payment SET state = $2, decline_code = $3, refunded_minor = $4, updated_at = $5
            WHERE payment_id = $1
            """,
            payment.payment_id,
            payment.state.value,
            payment.decline_code,
            payment.refunded_minor,
            payment.updated_at,
        )

    async def add_refund(self, refund: Refund) -> None:
        await self._database.execute(
            """
            INSERT INTO refund (request_id, order_id, amount_minor, currency, done)
            VALUES ($1, $2, $3, $4, $5)
            """,
            refund.request_id,
            refund.order_id,
            refund.amount.minor,
            refund.amount.currency,
            refund.done,
        )

    async def refund(self, request_id: str) -> Refund | None:
        row = await self._database.fetchrow("SELECT * FROM refund WHERE request_id = $1", request_id)
        if row is None:
            return None
        amount = Money(row["amount_minor"], row["currency"])
        return Refund(str(row["request_id"]), str(row["order_id"]), amount, row["done"])

    async def refund_done(self, request_id: str) -> bool:
        changed = await self._database.fetchval(
            "UPDATE refund SET done = true WHERE request_id = $1 AND NOT done RETURNING true", request_id
        )
        return bool(changed)

    async def page(
        self, payer_id: str | None, state: State | None, before: str | None, limit: int
    ) -> Sequence[Payment]:
        rows = await self._database.fetch(
            """
            SELECT * FROM payment
            WHERE ($1::text IS NULL OR payer_id = $1)
              AND ($2::text IS NULL OR state = $2)
              AND ($3::uuid IS NULL OR payment_id < $3)
              AND amount_minor IS NOT NULL
            ORDER BY payment_id DESC LIMIT $4
            """,
            payer_id,
            state.value if state else None,
            before,
            limit,
        )
        return [_payment(row) for row in rows]


def _payment(row: asyncpg.Record) -> Payment:
    return Payment(
        payment_id=str(row["payment_id"]),
        order_id=str(row["order_id"]),
        payer_id=row["payer_id"],
        amount=None if row["amount_minor"] is None else Money(row["amount_minor"], row["currency"]),
        method=row["method"],
        state=State(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        decline_code=row["decline_code"],
        refunded_minor=row["refunded_minor"],
    )
