"""Linked wallets and used nonces in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chassis.database import Database
from services.auth.domain.wallets import Wallet


class PostgresWallets:
    """Implements `Wallets`; an address has one spelling, so a unique column keeps it to one account."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, wallet: Wallet) -> bool:
        added = await self._database.fetchval(
            "INSERT INTO wallet VALUES ($1, $2, $3, $4, $5) ON CONFLICT (address) DO NOTHING RETURNING true",
            wallet.wallet_id,
            wallet.user_id,
            wallet.address,
            wallet.chain_id,
            wallet.linked_at,
        )
        return bool(added)

    async def by_address(self, address: str) -> Wallet | None:
        row = await self._database.fetchrow("SELECT * FROM wallet WHERE address = $1", address)
        return _wallet(row) if row else None

    async def of_user(self, user_id: str, after: str | None, limit: int) -> Sequence[Wallet]:
        rows = await self._database.fetch(
            """
            SELECT * FROM wallet WHERE user_id = $1 AND ($2::uuid IS NULL OR wallet_id > $2)
            ORDER BY wallet_id LIMIT $3
            """,
            user_id,
            after,
            limit,
        )
        return [_wallet(row) for row in rows]

    async def count(self, user_id: str) -> int:
        return int(await self._database.fetchval("SELECT count(*) FROM wallet WHERE user_id = $1", user_id))

    async def remove(self, user_id: str, wallet_id: str) -> bool:
        removed = await self._database.fetchval(
            "DELETE FROM wallet WHERE wallet_id = $2 AND user_id = $1 RETURNING true", user_id, wallet_id
        )
        return bool(removed)

    async def remove_all(self, user_id: str) -> None:
        await self._database.execute("DELETE FROM wallet WHERE user_id = $1", user_id)


class PostgresNonces:
    """Implements `UsedNonces`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def use(self, digest: bytes, expires_at: datetime) -> bool:
        used = await self._database.fetchval(
            "INSERT INTO used_wallet_nonce VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true",
            digest,
            expires_at,
        )
        return bool(used)

    async def purge(self, expired_before: datetime) -> int:
        tag = await self._database.execute(
            "DELETE FROM used_wallet_nonce WHERE expires_at <= $1", expired_before
        )
        return int(tag.rsplit(" ", 1)[1])


def _wallet(row: asyncpg.Record) -> Wallet:
    return Wallet(
        str(row["wallet_id"]), str(row["user_id"]), row["address"], row["chain_id"], row["linked_at"]
    )
