"""Subscriptions and campaigns in PostgreSQL."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chassis.database import Database
from services.market.application.campaign_ports import Due, Standing, Subscription
from services.market.domain.campaign import Campaign, State, Told, Topic

_COUNTED = """
SELECT c.*, r.recipients, r.told, r.skipped
FROM campaign c CROSS JOIN LATERAL (
    SELECT count(*) AS recipients, count(*) FILTER (WHERE state = 'TOLD') AS told,
        count(*) FILTER (WHERE state = 'SKIPPED') AS skipped
    FROM campaign_recipient WHERE campaign_id = c.campaign_id
) r
"""


class PostgresSubscriptions:
    """Implements `Subscriptions`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, user_id: str, topic: Topic, at: datetime) -> Subscription:
        since = await self._database.fetchval(
            """
            INSERT INTO subscription (user_id, topic, created_at) VALUES ($1, $2, $3)
            ON CONFLICT (user_id, topic) DO UPDATE SET topic = excluded.topic RETURNING created_at
            """,
            user_id,
            topic.text,
            at,
        )
        return Subscription(topic, since)

    async def remove(self, user_id: str, topic: Topic) -> None:
        await self._database.execute(
            "DELETE FROM subscription WHERE user_id = $1 AND topic = $2", user_id, topic.text
        )

    async def page(self, user_id: str, after: str | None, limit: int) -> Sequence[Subscription]:
        rows = await self._database.fetch(
            """
            SELECT * FROM subscription WHERE user_id = $1 AND ($2::text IS NULL OR topic > $2)
            ORDER BY topic LIMIT $3
            """,
            user_id,
            after,
            limit,
        )
        return [Subscription(Topic.of(row["topic"]), row["created_at"]) for row in rows]


class PostgresCampaigns:
    """Implements `Campaigns`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, campaign: Campaign) -> bool:
        added = await self._database.fetchval(
            """
            INSERT INTO campaign (campaign_id, owner_id, product_code, title, message, state, created_at,
                                  updated_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING RETURNING true
            """,
            campaign.campaign_id,
            campaign.owner_id,
            campaign.product_code,
            campaign.title,
            campaign.message,
            campaign.state.value,
            campaign.created_at,
            campaign.updated_at,
        )
        return bool(added)

    async def get(self, campaign_id: str, *, lock: bool = False) -> Campaign | None:
        suffix = " FOR UPDATE OF c" if lock else ""
        row = await self._database.fetchrow(f"{_COUNTED} WHERE c.campaign_id = $1{suffix}", campaign_id)
        return _campaign(row) if row else None

    async def save(self, campaign: Campaign) -> None:
        await self._database.execute(
            "UPDATE campaign SET state = $2, updated_at = $3 WHERE campaign_id = $1",
            campaign.campaign_id,
            campaign.state.value,
            campaign.updated_at,
        )

    async def page(self, owner_id: str, before: str | None, limit: int) -> Sequence[Campaign]:
        rows = await self._database.fetch(
            f"""
            {_COUNTED} WHERE c.owner_id = $1 AND ($2::uuid IS NULL OR c.campaign_id < $2)
            ORDER BY c.campaign_id DESC LIMIT $3
            """,
            owner_id,
            before,
            limit,
        )
        return [_campaign(row) for row in rows]

    async def settle_recipients(self, campaign: Campaign) -> None:
        await self._database.execute(
            """
            INSERT INTO campaign_recipient (campaign_id, user_id, state)
            SELECT DISTINCT $1::uuid, user_id, 'PENDING' FROM subscription
            WHERE topic = ANY($2) AND user_id <> $3
            ON CONFLICT DO NOTHING
            """,
            campaign.campaign_id,
            [topic.text for topic in campaign.topics],
            campaign.owner_id,
        )

    async def due(self, limit: int) -> Sequence[Due]:
        # Of each campaign the first ones, so that a large one does not keep the others waiting.
        rows = await self._database.fetch(
            """
            SELECT c.campaign_id, r.user_id FROM campaign c CROSS JOIN LATERAL (
                SELECT user_id, row_number() OVER (ORDER BY user_id) AS place FROM (
                    SELECT user_id FROM campaign_recipient
                    WHERE campaign_id = c.campaign_id AND state = 'PENDING' ORDER BY user_id LIMIT $1
                ) p
            ) r
            WHERE c.state = 'ACTIVE' ORDER BY r.place, c.campaign_id LIMIT $1
            """,
            limit,
        )
        return [Due(str(row["campaign_id"]), str(row["user_id"])) for row in rows]

    async def standing(self, due: Due) -> Standing | None:
        row = await self._database.fetchrow(
            """
            SELECT c.title, c.message, EXISTS (
                SELECT FROM subscription WHERE user_id = $2
                AND topic IN ('product:' || c.product_code, 'grower:' || c.owner_id)
            ) AS subscribed
            FROM campaign c JOIN campaign_recipient r USING (campaign_id)
            WHERE c.campaign_id = $1 AND r.user_id = $2 AND c.state = 'ACTIVE' AND r.state = 'PENDING'
            """,
            due.campaign_id,
            due.user_id,
        )
        return Standing(row["title"], row["message"], row["subscribed"]) if row else None

    async def active_of(self, owner_id: str) -> int:
        # One after the other, so that two activations at once do not both see room.
        await self._database.execute("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", owner_id)
        return int(
            await self._database.fetchval(
                "SELECT count(*) FROM campaign WHERE owner_id = $1 AND state = 'ACTIVE'", owner_id
            )
        )

    async def record(self, due: Due, told: Told) -> None:
        await self._database.execute(
            """
            UPDATE campaign_recipient SET state = $3
            WHERE campaign_id = $1 AND user_id = $2 AND state = 'PENDING'
            """,
            due.campaign_id,
            due.user_id,
            told.value,
        )

    async def complete(self, at: datetime) -> None:
        await self._database.execute(
            """
            UPDATE campaign c SET state = 'COMPLETED', updated_at = $1
            WHERE state = 'ACTIVE' AND NOT EXISTS (
                SELECT FROM campaign_recipient r WHERE r.campaign_id = c.campaign_id AND r.state = 'PENDING'
            )
            """,
            at,
        )


def _campaign(row: asyncpg.Record) -> Campaign:
    return Campaign(
        campaign_id=str(row["campaign_id"]),
        owner_id=str(row["owner_id"]),
        product_code=row["product_code"],
        title=row["title"],
        message=row["message"],
        state=State(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        recipients=row["recipients"],
        told=row["told"],
        skipped=row["skipped"],
    )
