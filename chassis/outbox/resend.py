"""Sending the outbox again to a broker, or for a consumer, that has lost events.

A resend turns the relay's cursor back to the beginning and raises its epoch, so that whoever leads notices
within a second and claims it anew. Order is kept: events that come later wait behind those sent again.
Where the resend ends, and which topic it is about, is a row of `relay_cursor` too, named after the shard, so
it outlives the process and belongs to one life of the broker: a new one gets everything anyway.
"""

from dataclasses import dataclass

import asyncpg

from chassis import audit
from chassis.audit import Order
from chassis.clock import Clock
from chassis.database import Database, Transaction
from chassis.errors import FailedPrecondition
from chassis.outbox.rows import ALL, OURS, Batch, Lag, OutboxRows, Shard
from chassis.outbox.schema import OUTBOX_LOG
from chassis.watermark import Reader

_MARK = " resend "
_SUBJECT = "outbox"


@dataclass(frozen=True, slots=True)
class Resend:
    """One that is under way or has come to its end.

    Args:
        topic: only its events; empty for all.
        until: position of the last event that is sent again.
    """

    topic: str
    until: int


@dataclass(frozen=True, slots=True)
class OutboxPosition:
    """How far the relay is.

    Args:
        incarnation: of the broker that the cursor is about; empty while none was met.
        position: all up to here is confirmed.
        head: the last position given out.
        epoch: of the cursor.
        lag: what is not confirmed, a resend included.
        resend: the latest to this broker; None when there was none, or it was cancelled.
    """

    incarnation: str
    position: int
    head: int
    epoch: int
    lag: Lag
    resend: Resend | None

    @property
    def resending(self) -> bool:
        """Whether a resend is under way."""
        return self.resend is not None and self.position < self.resend.until


async def find(
    connection: "Database | Transaction | asyncpg.Connection[asyncpg.Record]", incarnation: str, shard: Shard
) -> Resend | None:
    """The latest resend to a life of the broker."""
    row = await connection.fetchrow(
        "SELECT shard, position FROM relay_cursor WHERE incarnation = $1 AND starts_with(shard, $2)",
        incarnation,
        f"{shard}{_MARK}",
    )
    return None if row is None else Resend(row["shard"].partition(_MARK)[2], row["position"])


async def epoch_of(reader: Reader, incarnation: str, shard: Shard) -> int:
    """The epoch of a cursor; a leader that has another one must claim it anew."""
    sql = "SELECT epoch FROM relay_cursor WHERE incarnation = $1 AND shard = $2"
    return int(await reader.fetchval(sql, incarnation, str(shard)) or 0)


class RelayRows(OutboxRows):
    """What the relay reads: while a resend of one topic is under way, only rows of that topic.

    `resend` is set by the relay when it claims the cursor.
    """

    resend: Resend | None = None

    async def after(self, connection: "asyncpg.Connection[asyncpg.Record]", cursor: int) -> Batch:
        """As `OutboxRows.after`, without the rows that the resend leaves out."""
        resend = self.resend
        if resend is None or not resend.topic or cursor >= resend.until:
            return await super().after(connection, cursor)
        # All up to the end of the resend was sent before, so no watermark is needed.
        rows = await connection.fetch(
            f"""
            SELECT position, topic, key, key_seq, headers, payload FROM outbox
            WHERE position > $3 AND position <= $4 AND topic = $5 AND {OURS} ORDER BY position LIMIT $6
            """,
            self._shard.index,
            self._shard.count,
            cursor,
            resend.until,
            resend.topic,
            self._batch_size,
        )
        if not rows:
            return await super().after(connection, resend.until)
        end = rows[-1]["position"] if len(rows) == self._batch_size else resend.until
        return Batch(rows, end, False, full=True)

    def ends_resend(self, cursor: int, end: int) -> bool:
        """Whether a resend comes to its end between two positions."""
        return self.resend is not None and cursor < self.resend.until <= end


class OutboxOperator:
    """What an operator sees of an outbox and may do to it; works whether the relay runs or not.

    The cursor meant is the one that moved last, that is the one of the broker in use.

    Args:
        db: the service's database.
        clock: for the audit.
        shard: whose cursor; default all keys.
    """

    def __init__(self, db: Database, clock: Clock, shard: Shard = ALL) -> None:
        self._db = db
        self._clock = clock
        self._shard = shard
        self._rows = OutboxRows(shard, 1)

    async def position(self) -> OutboxPosition:
        """How far the relay is."""
        cursor = await self._cursor(self._db)
        incarnation, position, epoch = cursor or ("", 0, 0)
        return OutboxPosition(
            incarnation,
            position,
            await OUTBOX_LOG.floor(self._db),
            epoch,
            await self._rows.lag(self._db),
            await find(self._db, incarnation, self._shard),
        )

    async def resend(self, topic: str, order: Order) -> OutboxPosition:
        """Send again what was sent so far.

        Args:
            topic: only its events; empty for all.
            order: for the audit.

        Raises:
            FailedPrecondition: nothing was sent yet, nothing under this topic, or a resend is under way.
        """
        async with self._db.transaction() as tx:
            cursor = await self._cursor(tx, lock=True)
            incarnation, position, _ = cursor or ("", 0, 0)
            running = await find(tx, incarnation, self._shard)
            if running is not None and position < running.until:
                raise FailedPrecondition(
                    "RESEND_RUNNING", f"A resend is at {position} of {running.until}; cancel it first."
                )
            if position == 0 or not await self._published(tx, topic):
                what = f"Nothing was published under {topic!r}" if topic else "Nothing was sent yet"
                raise FailedPrecondition("NOTHING_TO_RESEND", f"{what}, so there is nothing to send again.")
            await self._forget(tx, incarnation)
            await tx.execute(
                "INSERT INTO relay_cursor (incarnation, shard, position) VALUES ($1, $2, $3)",
                incarnation,
                f"{self._shard}{_MARK}{topic}",
                position,
            )
            await self._move(tx, incarnation, 0)
            await audit.record(tx, self._clock, _SUBJECT, f"resend {topic or 'all topics'}", order)
        return await self.position()

    async def cancel(self, order: Order) -> OutboxPosition:
        """End a resend where it is; what was never sent is next.

        Raises:
            FailedPrecondition: none is under way.
        """
        async with self._db.transaction() as tx:
            cursor = await self._cursor(tx, lock=True)
            running = await find(tx, cursor[0], self._shard) if cursor else None
            if cursor is None or running is None or cursor[1] >= running.until:
                raise FailedPrecondition("RESEND_NOT_RUNNING", "No resend is under way.")
            await self._forget(tx, cursor[0])
            await self._move(tx, cursor[0], running.until)
            await audit.record(tx, self._clock, _SUBJECT, f"cancel resend at {cursor[1]}", order)
        return await self.position()

    async def _cursor(
        self, run: Database | Transaction, *, lock: bool = False
    ) -> tuple[str, int, int] | None:
        row = await run.fetchrow(
            f"""
            SELECT incarnation, position, epoch FROM relay_cursor WHERE shard = $1
            ORDER BY updated_at DESC LIMIT 1 {"FOR UPDATE" if lock else ""}
            """,
            str(self._shard),
        )
        return None if row is None else (row["incarnation"], row["position"], row["epoch"])

    @staticmethod
    async def _published(tx: Transaction, topic: str) -> bool:
        if not topic:
            return True
        return bool(await tx.fetchval("SELECT EXISTS (SELECT 1 FROM outbox_key WHERE topic = $1)", topic))

    async def _forget(self, tx: Transaction, incarnation: str) -> None:
        await tx.execute(
            "DELETE FROM relay_cursor WHERE incarnation = $1 AND starts_with(shard, $2)",
            incarnation,
            f"{self._shard}{_MARK}",
        )

    async def _move(self, tx: Transaction, incarnation: str, position: int) -> None:
        await tx.execute(
            """
            UPDATE relay_cursor SET position = $3, epoch = epoch + 1, updated_at = now()
            WHERE incarnation = $1 AND shard = $2
            """,
            incarnation,
            str(self._shard),
            position,
        )
