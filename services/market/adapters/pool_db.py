"""Pools and their ledger in PostgreSQL."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import asyncpg

from chassis.database import Database
from services.market.application.pool_ports import SwapRecord
from services.market.domain.pool import Pool, Side, State, Swap
from services.market.domain.pool_ledger import OUTSIDE, Movement, require_covered


class PostgresPools:
    """Implements `Pools`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, pool: Pool) -> bool:
        added = await self._database.fetchval(
            """
            INSERT INTO pool (pool_id, product_code, unit, currency, fee_bps, state, goods, money, shares,
                              created_by, created_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
            ON CONFLICT (product_code, unit, currency) WHERE state <> 'CLOSED' DO NOTHING RETURNING true
            """,
            pool.pool_id,
            pool.product_code,
            pool.unit,
            pool.currency,
            pool.fee_bps,
            pool.state.value,
            pool.goods,
            pool.money,
            pool.shares,
            pool.created_by,
            pool.created_at,
        )
        return bool(added)

    async def get(self, pool_id: str, *, lock: bool = False) -> Pool | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(f"SELECT * FROM pool WHERE pool_id = $1{suffix}", pool_id)
        return _pool(row) if row else None

    async def locked_of(self, product_code: str, unit: str) -> Sequence[Pool]:
        rows = await self._database.fetch(
            """
            SELECT * FROM pool WHERE product_code = $1 AND unit = $2 AND state = 'OPEN'
            ORDER BY pool_id FOR UPDATE
            """,
            product_code,
            unit,
        )
        return [_pool(row) for row in rows]

    async def like(self, pool: Pool, *, lock: bool = False) -> Pool | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(
            f"""
            SELECT * FROM pool
            WHERE (product_code, unit, currency) = ($1, $2, $3) AND state <> 'CLOSED'{suffix}
            """,
            pool.product_code,
            pool.unit,
            pool.currency,
        )
        return _pool(row) if row else None

    async def save(self, pool: Pool) -> None:
        await self._database.execute(
            "UPDATE pool SET state = $2, goods = $3, money = $4, shares = $5 WHERE pool_id = $1",
            pool.pool_id,
            pool.state.value,
            pool.goods,
            pool.money,
            pool.shares,
        )

    async def page(self, product_code: str | None, before: str | None, limit: int) -> Sequence[Pool]:
        rows = await self._database.fetch(
            """
            SELECT * FROM pool
            WHERE ($1::text IS NULL OR product_code = $1) AND ($2::uuid IS NULL OR pool_id < $2)
              AND state <> 'CLOSED'
            ORDER BY pool_id DESC LIMIT $3
            """,
            product_code,
            before,
            limit,
        )
        return [_pool(row) for row in rows]

    async def add_swap(self, record: SwapRecord) -> None:
        await self._database.execute(
            """
            INSERT INTO pool_swap (swap_id, pool_id, user_id, side, goods, money, goods_after, money_after,
                                   swapped_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            """,
            record.swap_id,
            record.pool.pool_id,
            record.user_id,
            record.swap.side.value,
            record.swap.goods,
            record.swap.money,
            record.pool.goods,
            record.pool.money,
            record.at,
        )

    async def swaps(self, pool: Pool, before: str | None, limit: int) -> Sequence[SwapRecord]:
        rows = await self._database.fetch(
            """
            SELECT * FROM pool_swap WHERE pool_id = $1 AND ($2::uuid IS NULL OR swap_id < $2)
            ORDER BY swap_id DESC LIMIT $3
            """,
            pool.pool_id,
            before,
            limit,
        )
        return [
            SwapRecord(
                str(row["swap_id"]),
                str(row["user_id"]),
                Swap(Side(row["side"]), row["goods"], row["money"]),
                replace(pool, goods=row["goods_after"], money=row["money_after"]),
                row["swapped_at"],
            )
            for row in rows
        ]


class PostgresLedger:
    """Implements `Ledger`. Balances are locked in one order, so that no two movements block each other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(self, movement: Movement) -> bool:
        async with self._database.transaction() as tx:
            fresh = await tx.fetchval(
                """
                INSERT INTO ledger_movement (movement_id, kind) VALUES ($1, $2)
                ON CONFLICT DO NOTHING RETURNING true
                """,
                movement.movement_id,
                movement.kind.value,
            )
            if not fresh:
                return False
            postings = sorted(movement.postings)
            holders, assets = [p.holder for p in postings], [p.asset for p in postings]
            amounts = [p.amount for p in postings]
            present = await self._locked(holders, assets)
            for posting in postings:
                account = (posting.holder, posting.asset)
                balance = present[account] + posting.amount
                require_covered(*account, balance, bounded=not movement.kind.has_happened)
            await tx.execute(
                """
                WITH posting AS (
                    INSERT INTO ledger_posting (movement_id, holder, asset, amount)
                    SELECT $1, * FROM unnest($2::text[], $3::text[], $4::bigint[])
                    RETURNING holder, asset, amount
                )
                UPDATE ledger_balance b SET amount = b.amount + p.amount
                FROM posting p WHERE (b.holder, b.asset) = (p.holder, p.asset)
                """,
                movement.movement_id,
                holders,
                assets,
                amounts,
            )
            return True

    async def balances(self, holder: str) -> Mapping[str, int]:
        rows = await self._database.fetch(
            "SELECT asset, amount FROM ledger_balance WHERE holder = $1 AND amount <> 0 ORDER BY asset",
            holder,
        )
        return {row["asset"]: row["amount"] for row in rows}

    async def balance(self, holder: str, asset: str) -> int:
        found = await self._database.fetchval(
            "SELECT amount FROM ledger_balance WHERE holder = $1 AND asset = $2", holder, asset
        )
        return int(found or 0)

    async def lock(self, holder: str, asset: str) -> int:
        return (await self._locked([OUTSIDE, holder], [asset, asset]))[holder, asset]

    async def _locked(self, holders: list[str], assets: list[str]) -> dict[tuple[str, str], int]:
        await self._database.execute(
            """
            INSERT INTO ledger_balance (holder, asset, amount)
            SELECT holder, asset, 0 FROM unnest($1::text[], $2::text[]) AS wanted (holder, asset)
            ORDER BY holder, asset ON CONFLICT DO NOTHING
            """,
            holders,
            assets,
        )
        rows = await self._database.fetch(
            """
            SELECT b.holder, b.asset, b.amount FROM ledger_balance b
            JOIN unnest($1::text[], $2::text[]) AS wanted (holder, asset) USING (holder, asset)
            ORDER BY b.holder, b.asset FOR UPDATE OF b
            """,
            holders,
            assets,
        )
        return {(row["holder"], row["asset"]): row["amount"] for row in rows}


def _pool(row: asyncpg.Record) -> Pool:
    return Pool(
        pool_id=str(row["pool_id"]),
        product_code=row["product_code"],
        unit=row["unit"],
        currency=row["currency"],
        fee_bps=row["fee_bps"],
        created_by=str(row["created_by"]),
        created_at=row["created_at"],
        goods=row["goods"],
        money=row["money"],
        shares=row["shares"],
        state=State(row["state"]),
    )
