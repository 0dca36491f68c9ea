"""The audit of operators' actions: who did what to which thing, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from chassis.database import Database, Transaction

CREATE_V1 = """
CREATE TABLE IF NOT EXISTS operator_action (
    id      bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subject text NOT NULL,
    who     text NOT NULL,
    what    text NOT NULL,
    why     text NOT NULL,
    at      timestamptz NOT NULL
);
CREATE INDEX IF NOT EXISTS operator_action_subject ON operator_action (subject, id);
"""


class Now(Protocol):
    """The part of a clock that is needed."""

    def now(self) -> datetime:
        """The time."""
        ...


@dataclass(frozen=True, slots=True)
class Order:
    """Who wants something done, and why, in his words."""

    who: str
    why: str


@dataclass(frozen=True, slots=True)
class Action:
    """One line of the audit. `number` is its place there, for paging."""

    number: int
    subject: str
    who: str
    what: str
    why: str
    at: datetime


async def record(tx: Transaction, clock: Now, subject: str, what: str, order: Order) -> None:
    """Write a line, in the transaction of the action itself.

    Args:
        subject: what was acted on, e.g. "outbox".
        what: what was done to it.
    """
    await tx.execute(
        "INSERT INTO operator_action (subject, who, what, why, at) VALUES ($1, $2, $3, $4, $5)",
        subject,
        order.who,
        what,
        order.why,
        clock.now(),
    )


async def actions(
    database: Database, subject: str | None = None, *, before: int | None = None, limit: int = 50
) -> Sequence[Action]:
    """What operators did, latest first.

    Args:
        subject: only to this; default to anything.
        before: number of the last one seen; default from the latest.
        limit: at most so many; default 50.
    """
    rows = await database.fetch(
        """
        SELECT id, subject, who, what, why, at FROM operator_action
        WHERE ($1::text IS NULL OR subject = $1) AND ($2::bigint IS NULL OR id < $2)
        ORDER BY id DESC LIMIT $3
        """,
        subject,
        before,
        limit,
    )
    return [Action(*row) for row in rows]
