"""The delivery log and the contacts in PostgreSQL."""

import json
from collections.abc import Sequence
from datetime import datetime, timedelta

import asyncpg

from chassis.database import Database
from services.notifications.domain.notification import Notification, State
from services.notifications.domain.recall import joined
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

    async def add_of_recall(self, notification: Notification) -> bool:
        added = await self._database.fetchval(
            """
            INSERT INTO notification (notification_id, source, user_id, template, category, subject,
                                      parameters, created_at, due_at, state, attempts, last_error, recall_id)
            VALUES ($1, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9, $10, 0, '', $11)
            ON CONFLICT DO NOTHING RETURNING true
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
            notification.recall_id,
        )
        return bool(added) or await self._join(notification)

    async def _join(self, news: Notification) -> bool:
        async with self._database.transaction() as tx:
            waiting = await tx.fetchrow(
                """
                SELECT notification_id, parameters ->> 'lines' AS lines FROM notification
                WHERE recall_id = $1 AND user_id = $2 AND state = 'SCHEDULED' AND attempts = 0 FOR UPDATE
                """,
                news.recall_id,
                news.user_id,
            )
            if waiting is None or waiting["lines"] is None:
                return False
            await tx.execute(
                "UPDATE notification SET parameters = $2::text::jsonb WHERE notification_id = $1",
                waiting["notification_id"],
                json.dumps({"lines": joined(waiting["lines"], news.parameters["lines"])}),
            )
            return True

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
                state = CASE WHEN state = 'SCHEDULED' AND recall_id = '' THEN 'SUPPRESSED' ELSE state END
            WHERE user_id = $1
            """,
            user_id,
        )


class PostgresVenueOwners:
    """Implements `VenueOwners`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def owner(self, venue_id: str) -> str:
        # The row is there, and locked, also while nobody knows the owner: whoever learns it waits.
        found = await self._database.fetchval(
            """
            INSERT INTO venue_owner AS v (venue_id, owner_id) VALUES ($1, '')
            ON CONFLICT (venue_id) DO UPDATE SET owner_id = v.owner_id RETURNING owner_id
            """,
            venue_id,
        )
        return str(found)

    async def opened(self, venue_id: str, owner_id: str) -> None:
        await self._database.execute(
            """
            INSERT INTO venue_owner (venue_id, owner_id) VALUES ($1, $2)
            ON CONFLICT (venue_id) DO UPDATE SET owner_id = excluded.owner_id
            """,
            venue_id,
            owner_id,
        )

    async def keep(self, venue_id: str, recall_id: str, line: str) -> None:
        await self._database.execute(
            "INSERT INTO recall_for_owner (venue_id, recall_id, line) VALUES ($1, $2, $3)",
            venue_id,
            recall_id,
            line,
        )

    async def kept(self, venue_id: str) -> Sequence[tuple[str, str]]:
        rows = await self._database.fetch(
            "DELETE FROM recall_for_owner WHERE venue_id = $1 RETURNING recall_id, line", venue_id
        )
        return sorted((row["recall_id"], row["line"]) for row in rows)


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
        recall_id=row["recall_id"],
    )
