"""Collections in PostgreSQL."""

from collections.abc import Sequence

import asyncpg

from chassis.database import Database
from services.market.domain.collection import Collection

_COLLECTION = """
SELECT c.*, ARRAY(
    SELECT lot_id FROM collection_lot l WHERE l.collection_id = c.collection_id ORDER BY lot_id
) AS lot_ids FROM collection c
"""


class PostgresCollections:
    """Implements `Collections`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, collection: Collection, request_id: str, request_hash: str) -> bool:
        async with self._database.transaction() as tx:
            added = await tx.fetchval(
                """
                INSERT INTO collection (collection_id, owner_id, request_id, request_hash, name, description,
                                        created_at, updated_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
                ON CONFLICT (owner_id, request_id) DO NOTHING RETURNING true
                """,
                collection.collection_id,
                collection.owner_id,
                request_id,
                request_hash,
                collection.name,
                collection.description,
                collection.created_at,
                collection.updated_at,
            )
            if added:
                await self._put_in(collection)
        return bool(added)

    async def of_request(self, owner_id: str, request_id: str) -> tuple[Collection, str] | None:
        row = await self._database.fetchrow(
            f"{_COLLECTION} WHERE c.owner_id = $1 AND c.request_id = $2", owner_id, request_id
        )
        return (_collection(row), row["request_hash"]) if row else None

    async def get(self, collection_id: str, *, lock: bool = False) -> Collection | None:
        if lock:
            # On its own: a statement that waits for the lock sees the lots as they were before it waited.
            await self._database.execute(
                "SELECT FROM collection WHERE collection_id = $1 FOR UPDATE", collection_id
            )
        row = await self._database.fetchrow(f"{_COLLECTION} WHERE c.collection_id = $1", collection_id)
        return _collection(row) if row else None

    async def save(self, collection: Collection) -> None:
        async with self._database.transaction() as tx:
            await tx.execute(
                "UPDATE collection SET updated_at = $2 WHERE collection_id = $1",
                collection.collection_id,
                collection.updated_at,
            )
            await tx.execute(
                "DELETE FROM collection_lot WHERE collection_id = $1 AND lot_id <> ALL($2::uuid[])",
                collection.collection_id,
                list(collection.lot_ids),
            )
            await self._put_in(collection)

    async def page(self, owner_id: str | None, before: str | None, limit: int) -> Sequence[Collection]:
        rows = await self._database.fetch(
            f"""
            {_COLLECTION}
            WHERE ($1::uuid IS NULL OR c.owner_id = $1) AND ($2::uuid IS NULL OR c.collection_id < $2)
            ORDER BY c.collection_id DESC LIMIT $3
            """,
            owner_id,
            before,
            limit,
        )
        return [_collection(row) for row in rows]

    async def _put_in(self, collection: Collection) -> None:
        await self._database.execute(
            """
            INSERT INTO collection_lot (collection_id, lot_id) SELECT $1, unnest($2::uuid[])
            ON CONFLICT DO NOTHING
            """,
            collection.collection_id,
            list(collection.lot_ids),
        )


def _collection(row: asyncpg.Record) -> Collection:
    return Collection(
        collection_id=str(row["collection_id"]),
        owner_id=str(row["owner_id"]),
        name=row["name"],
        description=row["description"],
        lot_ids=tuple(map(str, row["lot_ids"])),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
    )
