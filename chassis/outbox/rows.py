"""Reading the outbox: the rows of a shard that may be sent, and how many wait."""

from collections.abc import Sequence
from dataclasses import dataclass

import asyncpg

from chassis.database import Database

OURS = "($2::int = 1 OR mod(hashtext(key)::bigint + 2147483648, $2::int) = $1::int)"


@dataclass(frozen=True, slots=True)
class Shard:
    """A share of the keys. With other counts come other cursors, which start at 0 and resend everything."""

    index: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


ALL = Shard()


@dataclass(frozen=True, slots=True)
class Lag:
    """How far the broker is behind the outbox: events (counted up to 100,000) and the age of the oldest."""

    rows: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows in order, the cursor behind them, whether more may wait behind an open transaction or at once."""

    rows: Sequence[asyncpg.Record]
    end: int
    held_back: bool
    full: bool = False


class OutboxRows:
    """The rows of one shard.

    Args:
        shard: whose.
        batch_size: rows read at a time.
    """

    def __init__(self, shard: Shard, batch_size: int) -> None:
        self._shard = shard
        self._batch_size = batch_size

    async def after(self, connection: "asyncpg.Connection[asyncpg.Record]", cursor: int) -> Batch:
        """The next rows behind the cursor and below the watermark; `full` when more may follow at once."""
        rows = await connection.fetch(
            "SELECT * FROM outbox_read($1, $2, $3, $4)",
            cursor,
            self._batch_size,
            self._shard.index,
            self._shard.count,
        )
        first = rows[0]
        if first["position"] is None:
            return Batch((), first["end"], first["held_back"])
        if len(rows) == self._batch_size:
            return Batch(rows, rows[-1]["position"], False, full=True)
        return Batch(rows, first["end"], False)

    async def lag(self, db: Database) -> Lag:
        """What the broker has not confirmed, by the cursor that moved last."""
        row = await db.fetchrow(
            f"""
            SELECT count(*) AS rows,
                   coalesce(extract(epoch FROM clock_timestamp() - min(recorded_at)), 0) AS age
            FROM (SELECT recorded_at FROM outbox
                  WHERE position > coalesce((SELECT position FROM relay_cursor WHERE shard = $3
                                             ORDER BY updated_at DESC LIMIT 1), 0)
                    AND {OURS} ORDER BY position LIMIT 100000) AS behind
            """,
            self._shard.index,
            self._shard.count,
            str(self._shard),
        )
        assert row is not None
        return Lag(row["rows"], max(0.0, float(row["age"])))
