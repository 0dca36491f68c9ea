"""Payments in PostgreSQL."""

from collections.abc import Sequence
from datetime import timedelta

import asyncpg

from chassis.database import Database
from chassis.money import Money
from services.payments.domain.payment import Payment, Refund, State, Status


class PostgresPayments:
    """Implements `Payments`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, payment: Payment) -> bool:
        inserted = await self._database.fetchval(
            """
            INSERT INTO payment (payment_id, order_id, payer_id, amount_minor, currency, method,
                                 method_digest, state, decline_code, promised_minor, refunded_minor,
                                 created_at, updated_at, status)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
            ON CONFLICT (order_id) DO NOTHING RETURNING true
            """,
            payment.payment_id,
            payment.order_id,
            payment.payer_id,
            payment.amount.minor if payment.amount else None,
            payment.amount.currency if payment.amount else None,
            payment.method,
            payment.method_digest,
            payment.state.value,
            payment.decline_code,
            payment.promised_minor,
            payment.refunded_minor,
            payment.created_at,
            payment.updated_at,
            payment.status.value,
        )
        return bool(inserted)

    async def of_order(self, order_id: str, *, lock: bool = False) -> Payment | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(f"SELECT * FROM payment WHERE order_id = $1{suffix}", order_id)
        return _payment(row) if row else None

    async def save(self, payment: Payment) -> None:
        await self._database.execute(
            """
            UPDATE payment SET state = $2, decline_code = $3, promised_minor = $4, refunded_minor = $5,
                updated_at = $6, status = $7, method = $8
            WHERE payment_id = $1
            """,
            payment.payment_id,
            payment.state.value,
            payment.decline_code,
            payment.promised_minor,
            payment.refunded_minor,
            payment.updated_at,
            payment.status.value,
            payment.method,
        )

    async def add_refund(self, refund: Refund) -> bool:
        added = await self._database.fetchval(
            """
            INSERT INTO refund (request_id, order_id, amount_minor, currency, asked_minor, asked_currency,
                                reason, done)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (request_id) DO NOTHING RETURNING true
            """,
            refund.request_id,
            refund.order_id,
            refund.amount.minor,
            refund.amount.currency,
            refund.asked.minor if refund.asked else None,
            refund.asked.currency if refund.asked else None,
            refund.reason,
            refund.done,
        )
        return bool(added)

    async def unkept_refunds(self, older_than: timedelta, limit: int) -> Sequence[Refund]:
        rows = await self._database.fetch(
            """
            SELECT * FROM refund WHERE NOT done AND promised_at < now() - $1::interval
            ORDER BY promised_at LIMIT $2
            """,
            older_than,
            limit,
        )
        return [_refund(row) for row in rows]

    async def refund(self, request_id: str) -> Refund | None:
        row = await self._database.fetchrow("SELECT * FROM refund WHERE request_id = $1", request_id)
        return _refund(row) if row else None

    async def refund_done(self, request_id: str) -> bool:
        kept = await self._database.fetchval(
            "UPDATE refund SET done = true WHERE request_id = $1 AND NOT done RETURNING true", request_id
        )
        return bool(kept)

    async def page(
        self, payer_id: str | None, status: Status | None, before: str | None, limit: int
    ) -> Sequence[Payment]:
        rows = await self._database.fetch(
            """
            SELECT * FROM payment
            WHERE ($1::text IS NULL OR payer_id = $1)
              AND ($2::text IS NULL OR status = $2)
              AND ($3::uuid IS NULL OR payment_id < $3)
              AND amount_minor IS NOT NULL
            ORDER BY payment_id DESC LIMIT $4
            """,
            payer_id,
            status.value if status else None,
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
        promised_minor=row["promised_minor"],
        refunded_minor=row["refunded_minor"],
        method_digest=row["method_digest"],
    )


def _refund(row: asyncpg.Record) -> Refund:
    return Refund(
        request_id=str(row["request_id"]),
        order_id=str(row["order_id"]),
        amount=Money(row["amount_minor"], row["currency"]),
        asked=None if row["asked_minor"] is None else Money(row["asked_minor"], row["asked_currency"]),
        reason=row["reason"],
        done=row["done"],
    )
