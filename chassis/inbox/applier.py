"""Applies events: position, handler effects and publications in one transaction."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from chassis import context
from chassis.crashpoints import crashpoint, declare
from chassis.database import Database, Transaction
from chassis.inbox import metrics, parking, positions
from chassis.inbox.events import Delivery, ReceivedEvent, Subscription
from chassis.inbox.key_queues import Run
from chassis.inbox.positions import BUSY, Decision, Verdict, decide
from chassis.inbox.settings import ConsumerSettings

INBOX_CRASHPOINTS = ("inbox.before_commit", "inbox.after_commit")
"""Crash points: effects and position are written but not committed; they are committed."""
declare(*INBOX_CRASHPOINTS)


class UnreadableEvent(Exception):
    """The record cannot be decoded; no number of tries will change that."""


class Applier:
    """Applies runs of events for one consumer.

    Args:
        db: the database with the tables of `INBOX_V1`.
        consumer: name under which positions are kept; the consumer group.
        subscriptions: by topic.
        settings: time limits.
    """

    def __init__(
        self,
        db: Database,
        consumer: str,
        subscriptions: Mapping[str, Subscription[Any]],
        settings: ConsumerSettings,
    ) -> None:
        self._db = db
        self.consumer = consumer
        self._subscriptions = subscriptions
        self._settings = settings

    async def apply(self, runs: Sequence[Run], *, accept_gap: bool = False) -> list[Decision]:
        """Apply runs of different keys of one topic in one transaction; all or nothing.

        Args:
            runs: what to apply; duplicates are dropped, what is behind a parked event is parked too.
            accept_gap: take the events as next although some before them are missing. Default False.

        Returns:
            A decision per run. GAP and BUSY runs were left alone.

        Raises:
            UnreadableEvent: an event that should be applied cannot be decoded.
            TimeoutError: handlers took longer than `event_timeout_s`.
            Exception: whatever a handler raised.
        """
        async with self._db.transaction() as tx:
            decisions = await self._decide(tx, runs, accept_gap)
            fresh: list[Delivery] = []
            behind: list[Delivery] = []
            moved = []
            for run, decision in zip(runs, decisions, strict=True):
                todo = run.deliveries[decision.duplicates :]
                if decision.verdict is Verdict.APPLY:
                    fresh.extend(todo)
                elif decision.verdict is Verdict.QUEUE:
                    behind.extend(todo)
                else:
                    continue
                moved.append((run.key_id, run.last))
            await self.handle(tx, fresh)
            await parking.line_up(tx, self.consumer, behind)
            await positions.advance(tx, self.consumer, moved)
            crashpoint("inbox.before_commit")
        crashpoint("inbox.after_commit")
        self._count(runs[0].key_id.topic, decisions, len(fresh), len(behind))
        return decisions

    async def park(self, run: Run, reason: str, attempts: int) -> Decision:
        """Park the only event of a run and its key, unless it is a duplicate or out of turn by now."""
        (delivery,) = run.deliveries
        async with self._db.transaction() as tx:
            (decision,) = await self._decide(tx, [run], False)
            if decision.verdict is Verdict.APPLY:
                await parking.park(tx, self.consumer, delivery, reason, attempts)
            elif decision.verdict is Verdict.QUEUE:
                await parking.line_up(tx, self.consumer, run.deliveries)
            else:
                return decision
            await positions.advance(tx, self.consumer, [(run.key_id, run.last)])
        metrics.PARKED.labels(self.consumer, run.key_id.topic).inc()
        return decision

    async def park_foreign(self, delivery: Delivery) -> None:
        """Keep a record that belongs to no key's sequence; it blocks nothing."""
        async with self._db.transaction() as tx:
            await parking.keep(tx, self.consumer, delivery, delivery.defect, 1)
        metrics.PARKED.labels(self.consumer, delivery.key_id.topic).inc()

    async def handle(self, tx: Transaction, deliveries: Sequence[Delivery]) -> None:
        """Call the handlers, within the time limit of one event for all of them."""
        if not deliveries:
            return
        events = [_readable(delivery) for delivery in deliveries]
        subscription = self._subscriptions[deliveries[0].key_id.topic]
        async with asyncio.timeout(self._settings.event_timeout_s):
            if subscription.batch_handler and (len(events) > 1 or subscription.handler is None):
                await subscription.batch_handler(events, tx)
                return
            assert subscription.handler is not None
            for event in events:
                with context.use(event.context()):
                    await subscription.handler(event, tx)

    async def _decide(self, tx: Transaction, runs: Sequence[Run], accept_gap: bool) -> list[Decision]:
        states = await positions.lock(tx, self.consumer, [run.key_id for run in runs])
        decisions = []
        for run in runs:
            state = states.get(run.key_id)
            if state is None:
                decisions.append(BUSY)
                continue
            last_seq, parked = state
            if accept_gap:
                last_seq = max(last_seq, run.first - 1)
            decisions.append(decide(last_seq, parked, run.first, run.last))
        return decisions

    def _count(self, topic: str, decisions: Sequence[Decision], applied: int, behind: int) -> None:
        if applied:
            metrics.APPLIED.labels(self.consumer, topic).inc(applied)
        if behind:
            metrics.PARKED.labels(self.consumer, topic).inc(behind)
        if duplicates := sum(decision.duplicates for decision in decisions):
            metrics.DUPLICATES.labels(self.consumer, topic).inc(duplicates)


def _readable(delivery: Delivery) -> ReceivedEvent[Any]:
    if delivery.event is None:
        raise UnreadableEvent(delivery.defect)
    return delivery.event
