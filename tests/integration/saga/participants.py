"""Participants of sagas as tables: idempotent by key, with tombstones, and an account of what was done."""

from collections.abc import Mapping
from typing import Any

from chassis.database import Database
from chassis.errors import FailedPrecondition
from chassis.saga import StepContext

SCHEMA = """
CREATE SCHEMA participant;
CREATE TABLE participant.effect (
    step text, saga_id text, key text NOT NULL, state text NOT NULL,
    applied int NOT NULL DEFAULT 0, undone int NOT NULL DEFAULT 0,
    PRIMARY KEY (step, saga_id)
);
CREATE TABLE participant.call (at bigserial PRIMARY KEY, saga_id text, step text, direction text, key text);
CREATE TABLE local_effect (saga_id text, step text, direction text);
"""


class Participants:
    """The other side of remote steps.

    Args:
        db: a pool of its own, as another service would have.
    """

    def __init__(self, db: Database) -> None:
        self._db = db

    async def act(self, context: StepContext) -> Mapping[str, Any]:
        """Take effect once; refuse when the undo came first."""
        await self._called(context)
        state = await self._db.fetchval(
            """INSERT INTO participant.effect (step, saga_id, key, state, applied)
               VALUES ($1, $2, $3, 'APPLIED', 1)
               ON CONFLICT (step, saga_id) DO UPDATE SET step = excluded.step
               RETURNING state""",
            context.step,
            context.saga_id,
            context.idempotency_key,
        )
        if state != "APPLIED":
            raise FailedPrecondition("CANCELLED", "the compensation came first")
        return {context.step: context.idempotency_key}

    async def undo(self, context: StepContext) -> None:
        """Take the effect back, or leave a tombstone."""
        await self._called(context)
        await self._db.execute(
            """INSERT INTO participant.effect (step, saga_id, key, state) VALUES ($1, $2, $3, 'UNDONE')
               ON CONFLICT (step, saga_id) DO UPDATE
               SET state = 'UNDONE', undone = effect.undone + (effect.state = 'APPLIED')::int""",
            context.step,
            context.saga_id,
            context.action_key,
        )

    async def _called(self, context: StepContext) -> None:
        await self._db.execute(
            "INSERT INTO participant.call (saga_id, step, direction, key) VALUES ($1, $2, $3, $4)",
            context.saga_id,
            context.step,
            context.direction.value,
            context.idempotency_key,
        )


class LocalEffects:
    """Effects in the engine's own database, without any protection against doing them twice."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def act(self, context: StepContext) -> Mapping[str, Any] | None:
        """Add a row."""
        statement = "INSERT INTO local_effect VALUES ($1, $2, $3)"
        await self._db.execute(statement, context.saga_id, context.step, context.direction.value)
        return {context.step: context.attempt}


async def remote_effects(db: Database, saga_id: str) -> dict[str, str]:
    """State by step; also checks that nothing was applied or undone twice."""
    rows = await db.fetch("SELECT * FROM participant.effect WHERE saga_id = $1", saga_id)
    for row in rows:
        assert row["applied"] <= 1
        assert row["undone"] <= row["applied"]
    return {row["step"]: row["state"] for row in rows}


async def local_effects(db: Database, saga_id: str) -> list[tuple[str, str]]:
    """(step, direction) of every row, sorted."""
    rows = await db.fetch("SELECT step, direction FROM local_effect WHERE saga_id = $1", saga_id)
    return sorted((row["step"], row["direction"]) for row in rows)


async def calls(db: Database, saga_id: str) -> list[tuple[str, str]]:
    """(step, direction) of every call that reached a participant, in order."""
    statement = "SELECT step, direction FROM participant.call WHERE saga_id = $1 ORDER BY at"
    return [(row["step"], row["direction"]) for row in await db.fetch(statement, saga_id)]
