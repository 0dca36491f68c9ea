"""Versions of policies and settings, and what replicas know, in PostgreSQL."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Generic, TypeVar

import asyncpg

from chassis.clock import Clock
from chassis.database import Database
from services.control.adapters.memory import memory_from_json, memory_to_json
from services.control.application.ports import Memory
from services.control.domain.versioned import Versioned

T = TypeVar("T")
_COLUMNS = "name, version, value, updated_at, updated_by, why"


class PostgresRevisions:
    """Implements `Revisions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def current(self) -> int:
        return int(await self._database.fetchval("SELECT revision FROM control_revision"))


class PostgresHistory(Generic[T]):
    """Implements `History` for one kind of value.

    Args:
        kind: "traffic", "edge" or "config".
        encode, decode: a value to JSON and back; `decode` is also given the name.
    """

    def __init__(
        self,
        database: Database,
        kind: str,
        encode: Callable[[T], Any],
        decode: Callable[[str, Any], T],
    ) -> None:
        self._database = database
        self._kind = kind
        self._encode = encode
        self._decode = decode

    async def lock(self) -> None:
        # One row for all: whoever changes something waits for the others, and every replica sees the number.
        await self._database.execute("UPDATE control_revision SET revision = revision + 1")

    async def newest(self) -> Mapping[str, Versioned[T]]:
        rows = await self._database.fetch(
            f"""
            SELECT DISTINCT ON (name) {_COLUMNS} FROM setting_version
            WHERE kind = $1 ORDER BY name, version DESC
            """,
            self._kind,
        )
        return {row["name"]: self._version(row) for row in rows}

    async def of(self, name: str) -> Versioned[T]:
        found = await self.page(name, None, 1)
        return found[0] if found else Versioned()

    async def at(self, name: str, version: int) -> Versioned[T] | None:
        row = await self._database.fetchrow(
            f"SELECT {_COLUMNS} FROM setting_version WHERE kind = $1 AND name = $2 AND version = $3",
            self._kind,
            name,
            version,
        )
        return self._version(row) if row else None

    async def add(self, name: str, value: Versioned[T]) -> None:
        await self._database.execute(
            """
            INSERT INTO setting_version (kind, name, version, value, updated_at, updated_by, why)
            VALUES ($1, $2, $3, $4, $5, $6, $7)
            """,
            self._kind,
            name,
            value.version,
            None if value.value is None else json.dumps(self._encode(value.value)),
            value.updated_at,
            value.updated_by,
            value.why,
        )

    async def page(self, name: str, before: int | None, limit: int) -> Sequence[Versioned[T]]:
        rows = await self._database.fetch(
            f"""
            SELECT {_COLUMNS} FROM setting_version
            WHERE kind = $1 AND name = $2 AND ($3::bigint IS NULL OR version < $3)
            ORDER BY version DESC LIMIT $4
            """,
            self._kind,
            name,
            before,
            limit,
        )
        return [self._version(row) for row in rows]

    def _version(self, row: asyncpg.Record) -> Versioned[T]:
        value = None if row["value"] is None else self._decode(row["name"], json.loads(row["value"]))
        return Versioned(value, row["version"], row["updated_at"], row["updated_by"], row["why"])


class PostgresMemories:
    """Implements `Memories`: each replica has a row, and the newest of all is loaded.

    Args:
        replica: whose row is written.
        clock: rows that nobody wrote for a day are deleted.
    """

    def __init__(self, database: Database, replica: str, clock: Clock) -> None:
        self._database = database
        self._replica = replica
        self._clock = clock

    async def load(self) -> Memory | None:
        text = await self._database.fetchval(
            "SELECT data FROM replica_memory ORDER BY saved_at DESC, replica LIMIT 1"
        )
        return memory_from_json(text) if text else None

    async def save(self, memory: Memory) -> None:
        # A document of many instances takes longer than calls should wait.
        text = await asyncio.to_thread(memory_to_json, memory)
        await self._database.execute(
            """
            WITH forgotten AS (
                DELETE FROM replica_memory
                WHERE replica <> $1 AND saved_at < $3::timestamptz - interval '1 day'
            )
            INSERT INTO replica_memory (replica, data, saved_at) VALUES ($1, $2, $3)
            ON CONFLICT (replica) DO UPDATE SET data = excluded.data, saved_at = excluded.saved_at
            """,
            self._replica,
            text,
            memory.saved_at,
        )
