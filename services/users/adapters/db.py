"""People in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chassis.database import Database
from chassis.wakeup import Watchers
from services.users.domain.user import Preferences, Refusal, State, User


class PostgresUsers:
    """Implements `Users`."""

    def __init__(self, database: Database, changes: Watchers) -> None:
        self._database = database
        self._changes = changes

    async def add(self, user: User) -> bool:
        # Without a target the clause covers the address and the request_id alike.
        added = await self._database.fetchval(
            """
            INSERT INTO person (user_id, email, display_name, role, marketing_email, order_updates, language,
                                state, revision, request_id, request_hash, created_at, updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            ON CONFLICT DO NOTHING RETURNING true
            """,
            user.user_id,
            user.email,
            user.display_name,
            user.role,
            user.preferences.marketing_email,
            user.preferences.order_updates,
            user.preferences.language,
            user.state.value,
            user.revision,
            user.request_id,
            user.request_hash,
            user.created_at,
            user.updated_at,
        )
        return bool(added)

    async def get(self, user_id: str, *, lock: bool = False) -> User | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(f"SELECT * FROM person WHERE user_id = $1{suffix}", user_id)
        return _user(row) if row else None

    async def of_request(self, request_id: str) -> User | None:
        row = await self._database.fetchrow(
            "SELECT * FROM person WHERE request_id = $1 AND state <> 'FAILED'", request_id
        )
        return _user(row) if row else None

    async def save(self, user: User) -> None:
        await self._database.execute(
            """
            UPDATE person SET email = $2, display_name = $3, marketing_email = $4, order_updates = $5,
                language = $6, state = $7, revision = $8, request_hash = $9, failure_reason = $10,
                failure_message = $11, updated_at = $12
            WHERE user_id = $1
            """,
            user.user_id,
            user.email or None,
            user.display_name,
            user.preferences.marketing_email,
            user.preferences.order_updates,
            user.preferences.language,
            user.state.value,
            user.revision,
            user.request_hash,
            user.refusal.reason if user.refusal else None,
            user.refusal.message if user.refusal else None,
            user.updated_at,
        )
        self._database.after_commit(lambda: self._changes.changed(user.user_id))

    async def purge_failed(self, before: datetime, limit: int) -> int:
        tag = await self._database.execute(
            """
            DELETE FROM person WHERE user_id IN (
                SELECT user_id FROM person WHERE state = 'FAILED' AND updated_at < $1 LIMIT $2
                FOR UPDATE SKIP LOCKED
            )
            """,
            before,
            limit,
        )
        return int(tag.rpartition(" ")[2])

    async def page(self, role: str | None, before: str | None, limit: int) -> Sequence[User]:
        rows = await self._database.fetch(
            """
            SELECT * FROM person
            WHERE state IN ('PENDING', 'ACTIVE')
              AND ($1::text IS NULL OR role = $1)
              AND ($2::uuid IS NULL OR user_id < $2)
            ORDER BY user_id DESC LIMIT $3
            """,
            role,
            before,
            limit,
        )
        return [_user(row) for row in rows]


def _user(row: asyncpg.Record) -> User:
    reason = row["failure_reason"]
    return User(
        user_id=str(row["user_id"]),
        email=row["email"] or "",
        display_name=row["display_name"],
        role=row["role"],
        preferences=Preferences(row["marketing_email"], row["order_updates"], row["language"]),
        state=State(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        request_id=str(row["request_id"]),
        request_hash=row["request_hash"],
        revision=row["revision"],
        refusal=None if reason is None else Refusal(reason, row["failure_message"]),
    )
