"""The delivery log and the contacts in PostgreSQL."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from chassis.database import Database
from services.notifications.domain.notification import Notification, State
from services.notifications.domain.template import Category


class PostgresNotifications:
    """Implements `Notifications`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, notification: Notification) -> Notification:
        row = await self._database.fetchrow(
            """
            INSERT INTO notification AS n (notification_id, source, user_id, template, category, subject,
                                           parameters, created_at, due_at, state, attempts, last_error)
            VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9, $10, 0, '')
            ON CONFLICT (source, user_id, template) DO UPDATE SET source = n.source RETURNING *
            """,
            notification.notification_id,
            notification.source,
            notification.user_id,
            notification.template,
            notification.category.value,
            notification.subject,
            json.dumps(dict(notification.parameters)),
            notification.created_at,
            notification.due_at,
            notification.state.value,
        )
        assert row is not None
        return _notification(row)

    async def get(self, notification_id: str) -> Notification | None:
        row = await self._database.fetchrow(
            "SELECT * FROM notification WHERE notification_id = $1", notification_id
        )
        return _notification(row) if row else None

    async def page(
        self, user_id: str | None, state: State | None, before: str | None, limit: int
    ) -> Sequence[Notification]:
        rows = await self._database.fetch(
            """
            SELECT * FROM notification
            WHERE ($1::text IS NULL OR user_id = $1)
              AND ($2::text IS NULL OR state = $2)
              AND ($3::uuid IS NULL OR notification_id < $3)
            ORDER BY notification_id DESC LIMIT $4
            """,
            user_id,
            state.value if state else None,
            before,
            limit,
        )
        return [_notification(row) for row in rows]

    async def claim(self, at: datetime, lease: timedelta, limit: int) -> Sequence[Notification]:
        rows = await self._database.fetch(
            """
            UPDATE notification SET attempts = attempts + 1, due_at = $2
            WHERE notification_id IN (
                SELECT notification_id FROM notification WHERE state = 'SCHEDULED' AND due_at <= $1
                ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
            )
            RETURNING *
            """,
            at,
            at + lease,
            limit,
        )
        return [_notification(row) for row in rows]

    async def finish(self, notification: Notification) -> bool:
        # Once it has ended, the words have served; the log keeps what was sent to whom, not the text.
        finished = await self._database.fetchval(
            """
            UPDATE notification SET state = $2, due_at = $3, last_error = $4, delivered_at = $5,
                parameters = CASE WHEN $2 = 'SCHEDULED' THEN parameters ELSE '{}' END
            WHERE notification_id = $1 AND state = 'SCHEDULED' AND (attempts = $6 OR $2 = 'SENT')
            RETURNING true
            """,
            notification.notification_id,
            notification.state.value,
            notification.due_at,
            notification.last_error[:500],
            notification.delivered_at,
            notification.attempts,
        )
        return bool(finished)

    async def forget(self, user_id: str) -> None:
        await self._database.execute(
            """
            UPDATE notification SET subject = '', parameters = '{}',
                state = CASE WHEN state = 'SCHEDULED' THEN 'SUPPRESSED' ELSE state END
            WHERE user_id = $1
            """,
            user_id,
        )


def _notification(row: asyncpg.Record) -> Notification:
    return Notification(
        notification_id=str(row["notification_id"]),
        source=row["source"],
        user_id=row["user_id"],
        template=row["template"],
        category=Category(row["category"]),
        subject=row["subject"],
        parameters=json.loads(row["parameters"]),
        created_at=row["created_at"],
        due_at=row["due_at"],
        state=State(row["state"]),
        attempts=row["attempts"],
        last_error=row["last_error"],
        delivered_at=row["delivered_at"],
    )
