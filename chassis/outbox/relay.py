"""The relay: carries committed outbox rows to the broker, in order, at least once."""

import asyncio
import contextlib
import time
from collections.abc import Awaitable

import structlog

from chassis.broker import Broker
from chassis.crashpoints import crashpoint, declare
from chassis.database import Database, translate
from chassis.database.errors import DRIVER_ERRORS
from chassis.errors import Aborted, DeadlineExceeded, Unavailable
from chassis.outbox import metrics
from chassis.outbox.leadership import Session
from chassis.outbox.resend import RelayRows, epoch_of, find
from chassis.outbox.rows import ALL, Batch, Lag, Shard
from chassis.outbox.sender import Sender
from chassis.wakeup import Wakeup

_log = structlog.get_logger(__name__)

RELAY_CRASHPOINTS = ("relay.before_send", "relay.after_send", "relay.after_cursor")
"""Crash points: rows are read; the broker has them; the cursor is past them."""
declare(*RELAY_CRASHPOINTS)

_PASSING: tuple[type[Exception], ...] = (*DRIVER_ERRORS, Unavailable, Aborted, DeadlineExceeded)
_LIFE_CHECK_S = 1.0
_STANDBY_S = 0.5
_HELD_BACK_S = 0.005
_LAG_EVERY_S = 5.0
_RETRY_S = (0.05, 2.0)
_NOTHING = Batch((), 0, False)


class Relay:
    """Sends the outbox of one database; any number of processes may run one, one at a time leads.

    The cursor belongs to the broker's incarnation, so an emptied or new broker gets everything again,
    under the same ids, keys and sequence numbers. What was sent but not yet noted in the cursor when
    a leader dies is sent twice; consumers drop it by its sequence number.

    Args:
        db: the database with the tables of `OUTBOX_V1`.
        broker: where to.
        name: the service's name; part of the transactional id, so unique per broker.
        shard: which share of the keys; default all.
        batch_size: rows per broker transaction; default 1,000.
        poll_s: longest wait in seconds before looking for rows nobody announced; default 0.25.
        drain_s: how long `stop` goes on sending what is committed, in seconds; default 5.
    """

    def __init__(
        self,
        db: Database,
        broker: Broker,
        name: str,
        *,
        shard: Shard = ALL,
        batch_size: int = 1000,
        poll_s: float = 0.25,
        drain_s: float = 5.0,
    ) -> None:
        self._db = db
        self._broker = broker
        self._shard = shard
        self._rows = RelayRows(shard, batch_size)
        self._poll_s = poll_s
        self._drain_s = drain_s
        self._wakeup = Wakeup()
        self._session = Session(db.dsn, f"{name}/{shard}", self._wakeup.notify)
        self._sender = Sender(broker, f"{name}-relay-{shard.index}-of-{shard.count}")
        self._label = f"{name}/{shard}"
        self._life = self._life_now = ""
        self._moved = False
        self._epoch = 0
        self._cursor = 0
        self._lag_due = 0.0
        self._stop_by = float("inf")
        self._ended = asyncio.Event()
        self._ended.set()

    @property
    def leading(self) -> bool:
        """Whether this process sends."""
        return self._epoch > 0

    def wake(self) -> None:
        """Say that something was committed; cheap, from the event loop only."""
        self._wakeup.notify()

    async def run(self) -> None:
        """Lead or stand by until stopped; outages of database and broker are waited out."""
        self._ended.clear()
        delay = _RETRY_S[0]
        try:
            while not self._stopping:
                try:
                    await self._serve()
                    delay = _RETRY_S[0]
                except _PASSING as error:
                    self._report(translate(error))
                    await self._pause(delay)
                    delay = min(delay * 2, _RETRY_S[1])
                finally:
                    self._resign()
                    await self._session.close()
        finally:
            await self._sender.close()
            self._ended.set()

    async def stop(self) -> None:
        """Send what is committed by now, for at most `drain_s`, and end `run`."""
        self._stop_by = time.monotonic() + self._drain_s
        self._wakeup.notify()
        await self._ended.wait()

    async def lag(self) -> Lag:
        """How far the broker is behind; any process may ask.

        Raises:
            Unavailable: the database does not answer.
        """
        return await self._rows.lag(self._db)

    @property
    def _stopping(self) -> bool:
        return self._stop_by != float("inf")

    @property
    def _superseded(self) -> bool:
        """Whether the cursor at hand is that of a broker that is gone, or was moved."""
        return self._moved or self._life_now != self._life

    async def _serve(self) -> None:
        await self._session.open()
        while not await self._session.try_to_lead():
            if self._stopping:
                return
            if await self._wakeup.wait(_STANDBY_S):
                await self._session.pass_on_wake()
        await self._lead()

    async def _lead(self) -> None:
        await self._claim(await self._broker.incarnation())
        watch = asyncio.create_task(self._watch_life())
        try:
            await self._send_until_stopped()
        finally:
            watch.cancel()

    async def _watch_life(self) -> None:
        # Beside the sending, which should not wait for the answer. Unanswered means unknown, not changed.
        while True:
            await asyncio.sleep(_LIFE_CHECK_S)
            with contextlib.suppress(Unavailable):
                self._life_now = await self._broker.incarnation(_LIFE_CHECK_S / 2)
            if self._life_now != self._life:
                self._sender.abandon()
            with contextlib.suppress(*_PASSING):
                if await epoch_of(self._db, self._life, self._shard) != self._epoch:
                    self._moved = True  # by an operator: once the batch on its way is there, claim it anew
                    self._wakeup.notify()

    async def _send_until_stopped(self) -> None:
        while True:
            if self._superseded:
                await self._claim(self._life_now)
            batch = await self._rows.after(self._session.connection, self._cursor)
            if batch.rows:
                await self._send_all(batch)
            elif self._stopping:
                return
            else:
                if self._rows.ends_resend(self._cursor, batch.end):
                    await self._advance(batch)
                self._cursor = batch.end  # past what was rolled back
                await self._observe_lag()
                await self._wakeup.wait(_HELD_BACK_S if batch.held_back else self._poll_s)
            if time.monotonic() > self._stop_by:
                return

    async def _claim(self, life: str) -> None:
        # The claim runs on the session that holds the lock: a leader that lost it fails here. The
        # epoch rises before the producer starts, so when the old leader is fenced at the broker, its
        # cursor is fenced too.
        row = await self._session.connection.fetchrow(
            """
            INSERT INTO relay_cursor AS c (incarnation, shard) VALUES ($1, $2)
            ON CONFLICT (incarnation, shard) DO UPDATE SET epoch = c.epoch + 1, updated_at = now()
            RETURNING position, epoch
            """,
            life,
            str(self._shard),
        )
        assert row is not None
        self._rows.resend = await find(self._session.connection, life, self._shard)
        await self._sender.open()
        if self._life and life != self._life:
            metrics.REFILLS.labels(self._label).inc()
        self._life, self._life_now, self._moved = life, life, False
        self._cursor, self._epoch = row["position"], row["epoch"]
        metrics.LEADER.labels(self._label).set(1)
        _log.info("relay.leads", relay=self._label, incarnation=life, epoch=self._epoch, cursor=self._cursor)

    async def _send_all(self, batch: Batch) -> None:
        """Send batch after batch; while a full one is on its way, the next is read."""
        while batch.rows:
            crashpoint("relay.before_send")
            await self._broker.ensure_topics({row["topic"] for row in batch.rows})
            following = _NOTHING
            if batch.full:
                sending = asyncio.create_task(self._sender.send(batch.rows))
                try:
                    following = await self._rows.after(self._session.connection, batch.end)
                finally:
                    await self._confirmed(sending)
            else:
                await self._confirmed(self._sender.send(batch.rows))
            crashpoint("relay.after_send")
            await self._advance(batch)
            crashpoint("relay.after_cursor")
            batch = following
            if self._superseded or time.monotonic() > self._stop_by:
                return

    async def _confirmed(self, sending: Awaitable[None]) -> None:
        try:
            await sending
        except Unavailable:
            # Perhaps this is another broker by now; ask anew, not the answer of a second ago.
            with contextlib.suppress(Unavailable):
                await self._broker.incarnation(0)
            raise

    async def _advance(self, batch: Batch) -> None:
        moved = await self._session.connection.execute(
            """
            UPDATE relay_cursor SET position = $1, updated_at = now()
            WHERE incarnation = $2 AND shard = $3 AND epoch = $4
            """,
            batch.end,
            self._life,
            str(self._shard),
            self._epoch,
        )
        if moved != "UPDATE 1":
            raise Aborted("CONCURRENT_CHANGE", "Another relay leads this shard.")
        self._cursor = batch.end
        metrics.BATCHES.labels(self._label).inc()
        metrics.EVENTS.labels(self._label).inc(len(batch.rows))

    async def _observe_lag(self) -> None:
        if time.monotonic() >= self._lag_due:
            self._lag_due = time.monotonic() + _LAG_EVERY_S
            lag = await self.lag()
            metrics.LAG_ROWS.labels(self._label).set(lag.rows)
            metrics.LAG_SECONDS.labels(self._label).set(lag.seconds)

    async def _pause(self, seconds: float) -> None:
        if not self._stopping:
            await asyncio.sleep(seconds)

    def _resign(self) -> None:
        self._epoch = 0
        metrics.LEADER.labels(self._label).set(0)

    def _report(self, error: Exception) -> None:
        cause = getattr(error, "reason", type(error).__name__)
        metrics.FAILURES.labels(self._label, cause).inc()
        _log.warning("relay.interrupted", relay=self._label, cause=cause, error=str(error))
