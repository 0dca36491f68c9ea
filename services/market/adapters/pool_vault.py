"""What stands behind the balances, in PostgreSQL: committed lots and payments."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chassis.database import Database
from chassis.errors import FailedPrecondition, NotFound
from chassis.money import Money
from services.market.domain.pool import minor
from services.market.domain.pool_ledger import OUTSIDE, goods_asset
from services.market.domain.pool_settlement import (
    MAX_DELIVERIES,
    Delivery,
    VaultLot,
    allocate,
    not_covered,
)

# What still is worth what was promised: neither recalled by what is known here, nor expired.
_GOOD = """
    expires_at > $3
    AND NOT EXISTS (SELECT FROM lot_recall r WHERE r.lot_id = vault_lot.lot_id AND NOT r.released)
"""
# What of that may be delivered now. Owners put holds on and take them off as they like, so that no more than
# the delivery hangs on them.
_SOUND = f"""
    {_GOOD} AND NOT reserved
    AND NOT EXISTS (SELECT FROM lot_standing s WHERE s.lot_id = vault_lot.lot_id AND s.held)
"""


class PostgresVault:
    """Implements `Vault`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, lot: VaultLot) -> None:
        await self._database.execute(
            """
            INSERT INTO vault_lot (deposit_id, lot_id, commitment_id, owner_id, product_code, unit, remaining,
                                   expires_at, reserved)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            lot.deposit_id,
            lot.lot_id,
            lot.commitment_id,
            lot.owner_id,
            lot.product_code,
            lot.unit,
            lot.remaining,
            lot.expires_at,
            lot.reserved,
        )

    async def take(self, product_code: str, unit: str, amount: int, now: datetime) -> Sequence[Delivery]:
        async with self._database.transaction() as tx:
            lots = await self._sound(product_code, unit, now, "expires_at")
            if len(lots) > MAX_DELIVERIES and sum(lot.remaining for lot in lots[:-1]) < amount:
                lots = await self._sound(product_code, unit, now, "remaining DESC")
            deliveries = allocate(lots, amount)
            await tx.execute(
                """
                UPDATE vault_lot SET remaining = remaining - part.amount
                FROM unnest($1::uuid[], $2::bigint[]) AS part (deposit_id, amount)
                WHERE vault_lot.deposit_id = part.deposit_id
                """,
                [delivery.deposit_id for delivery in deliveries],
                [delivery.amount for delivery in deliveries],
            )
            return deliveries

    async def _sound(self, product_code: str, unit: str, now: datetime, order: str) -> list[VaultLot]:
        """Those that may be delivered, and one more of them than a withdrawal is delivered out of."""
        rows = await self._database.fetch(
            f"""
            SELECT * FROM vault_lot
            WHERE product_code = $1 AND unit = $2 AND remaining > 0 AND {_SOUND}
            ORDER BY {order}, deposit_id LIMIT {MAX_DELIVERIES + 1} FOR UPDATE
            """,
            product_code,
            unit,
            now,
        )
        return [_lot(row) for row in rows]

    async def put_back(self, delivery: Delivery) -> None:
        await self._database.execute(
            "UPDATE vault_lot SET remaining = remaining + $2 WHERE deposit_id = $1",
            delivery.deposit_id,
            delivery.amount,
        )

    async def free(self, deposit_id: str) -> None:
        await self._database.execute(
            "UPDATE vault_lot SET reserved = false WHERE deposit_id = $1", deposit_id
        )

    async def remove(self, deposit_id: str) -> None:
        await self._database.execute("DELETE FROM vault_lot WHERE deposit_id = $1 AND reserved", deposit_id)

    async def expired(self, now: datetime, after: str | None, limit: int) -> Sequence[VaultLot]:
        rows = await self._database.fetch(
            """
            SELECT * FROM vault_lot
            WHERE expires_at <= $1 AND remaining > 0 AND NOT reserved
              AND ($2::uuid IS NULL OR deposit_id > $2)
            ORDER BY deposit_id LIMIT $3
            """,
            now,
            after,
            limit,
        )
        return [_lot(row) for row in rows]

    async def get(self, deposit_id: str) -> VaultLot | None:
        row = await self._database.fetchrow("SELECT * FROM vault_lot WHERE deposit_id = $1", deposit_id)
        return _lot(row) if row else None

    async def lower(self, deposit_id: str, amount: int) -> None:
        await self._database.execute(
            "UPDATE vault_lot SET remaining = remaining - $2 WHERE deposit_id = $1", deposit_id, amount
        )

    async def require_cover(self, product_code: str, unit: str, leaving: int, now: datetime) -> None:
        missing = await self._database.fetchval(
            f"""
            SELECT greatest(
                -coalesce((SELECT amount FROM ledger_balance WHERE holder = $4 AND asset = $5), 0)
                - coalesce(sum(remaining) FILTER (WHERE {_GOOD}), 0),
                $6 - coalesce(sum(remaining) FILTER (WHERE {_SOUND}), 0)
            )
            FROM vault_lot WHERE product_code = $1 AND unit = $2 AND remaining > 0
            """,
            product_code,
            unit,
            now,
            OUTSIDE,
            goods_asset(product_code, unit),
            leaving,
        )
        if missing > 0:
            raise not_covered(int(missing))


class PostgresDeposits:
    """Implements `Deposits`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, deposit_id: str, user_id: str, amount: Money) -> None:
        await self._database.execute(
            "INSERT INTO money_deposit (deposit_id, user_id, currency, amount) VALUES ($1, $2, $3, $4)",
            deposit_id,
            user_id,
            amount.currency,
            amount.minor,
        )

    async def take(self, deposit_id: str, user_id: str, amount: Money) -> None:
        async with self._database.transaction() as tx:
            row = await tx.fetchrow(
                "SELECT * FROM money_deposit WHERE deposit_id = $1 AND user_id = $2 FOR UPDATE",
                deposit_id,
                user_id,
            )
            if row is None:
                raise NotFound(
                    "DEPOSIT_NOT_FOUND", "there is no such deposit", resource=("deposit", deposit_id)
                )
            left = row["amount"] - row["withdrawn"]
            if minor(amount, row["currency"]) > left:
                raise FailedPrecondition(
                    "DEPOSIT_EXCEEDED",
                    f"{left} minor units are left of what this payment brought",
                    metadata={"left_minor": str(left)},
                    resource=("deposit", deposit_id),
                )
            await self._count(deposit_id, amount.minor)

    async def put_back(self, deposit_id: str, amount: Money) -> None:
        await self._count(deposit_id, -amount.minor)

    async def owner_of(self, deposit_id: str) -> tuple[str, str] | None:
        row = await self._database.fetchrow(
            "SELECT user_id, currency FROM money_deposit WHERE deposit_id = $1", deposit_id
        )
        return (str(row["user_id"]), row["currency"]) if row else None

    async def refunded(self, deposit_id: str, total: int) -> int:
        excess = await self._database.fetchval(
            """
            UPDATE money_deposit d
            SET refunded = greatest(d.refunded, $2), withdrawn = greatest(d.withdrawn, d.refunded, $2)
            FROM (SELECT withdrawn FROM money_deposit WHERE deposit_id = $1 FOR UPDATE) before
            WHERE d.deposit_id = $1 RETURNING d.withdrawn - before.withdrawn
            """,
            deposit_id,
            total,
        )
        return int(excess)

    async def _count(self, deposit_id: str, withdrawn: int) -> None:
        await self._database.execute(
            "UPDATE money_deposit SET withdrawn = withdrawn + $2 WHERE deposit_id = $1", deposit_id, withdrawn
        )


def _lot(row: asyncpg.Record) -> VaultLot:
    return VaultLot(
        deposit_id=str(row["deposit_id"]),
        lot_id=str(row["lot_id"]),
        commitment_id=str(row["commitment_id"]),
        owner_id=str(row["owner_id"]),
        product_code=row["product_code"],
        unit=row["unit"],
        remaining=row["remaining"],
        expires_at=row["expires_at"],
        reserved=row["reserved"],
    )
