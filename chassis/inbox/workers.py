"""Works the queues off: batches first, one event at a time where a batch failed."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Sequence

import structlog

from chassis.inbox import metrics
from chassis.inbox.applier import Applier, UnreadableEvent
from chassis.inbox.events import Delivery
from chassis.inbox.failures import Failure, asked_for_s, classify, describe, reason_of
from chassis.inbox.key_queues import KeyQueues, Run
from chassis.inbox.positions import Decision, Verdict
from chassis.inbox.settings import ConsumerSettings

_log = structlog.get_logger(__name__)

_BUSY_S = 0.05
_LOOK_S = 0.25
_QUICK_S, _SLOW_S = 0.05, 0.2

AcceptGap = Callable[[Delivery, int], bool]
"""Asked when an event comes ahead of its turn: the event and the key's position; True to take it."""


class _GivenUp(Exception):
    """The partition is gone or the consumer stops: somebody else will get this event."""


class Workers:
    """A bounded number of transactions at a time, over the queues of one consumer.

    Args:
        applier: makes the transactions.
        queues: where work comes from.
        settings: bounds and retry policy.
        accept_gap: decides on events that come ahead of their turn.
    """

    def __init__(
        self, applier: Applier, queues: KeyQueues, settings: ConsumerSettings, accept_gap: AcceptGap
    ) -> None:
        self._applier = applier
        self._queues = queues
        self._settings = settings
        self._accept_gap = accept_gap
        self._slots = asyncio.Semaphore(settings.workers)
        self._ending = asyncio.Event()
        # One transaction must not hold a slow handler's effects back for long, so the batch follows
        # the handlers' speed: it doubles while quick and halves when slow.
        self._batch = settings.max_in_flight

    def end(self) -> None:
        """Stop retrying: what fails from now on is left to the next consumer."""
        self._ending.set()

    async def run(self) -> None:
        """Take work until cancelled; an error that is a defect of ours ends it."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                # Work first, slot second: waiting for work must not keep a slot from a retry.
                await self._queues.wait_ready()
                await self._slots.acquire()
                if runs := self._queues.take(self._batch):
                    tasks.create_task(self._work(tasks, runs))
                else:
                    self._slots.release()

    async def _work(self, tasks: asyncio.TaskGroup, runs: Sequence[Run]) -> None:
        if any(run.first == 0 for run in runs):
            decisions = None
        else:
            decisions = await self._try_batch(runs)
        self._slots.release()
        for index, run in enumerate(runs):
            if decisions is None or decisions[index].verdict in (Verdict.BUSY, Verdict.GAP):
                tasks.create_task(self._one_by_one(run))
            else:
                self._finish(run.deliveries)
                self._queues.release(run)

    async def _try_batch(self, runs: Sequence[Run]) -> Sequence[Decision] | None:
        started = time.monotonic()
        try:
            decisions = await self._applier.apply(runs)
        except Exception as error:
            # Which event is at fault, and whether any is, shows when each is tried alone.
            _log.debug("consumer.batch_failed", error=describe(error), keys=len(runs))
            self._batch = max(1, self._batch // 2)
            return None
        taken = time.monotonic() - started
        if taken < _QUICK_S:
            self._batch = min(self._batch * 2, self._settings.max_in_flight)
        elif taken > _SLOW_S:
            self._batch = max(1, self._batch // 2)
        return decisions

    async def _one_by_one(self, run: Run) -> None:
        try:
            for delivery in run.deliveries:
                await self._until_settled(Run(run.key_id, [delivery]))
                self._finish([delivery])
        except _GivenUp:
            # Its offset stays unfinished, so that it is read again.
            pass
        finally:
            self._queues.release(run)

    async def _until_settled(self, run: Run) -> None:
        (delivery,) = run.deliveries
        attempts, pauses, accept = 0, 0, False
        while True:
            try:
                async with self._slots:
                    decision = await self._apply_alone(run, accept)
            except Exception as error:
                failure = classify(error)
                attempts += failure is not Failure.INFRASTRUCTURE
                if failure is Failure.PERMANENT or attempts >= self._settings.max_attempts:
                    await self._park(run, error, attempts)
                    return
                pauses += 1
                self._note_retry(delivery, error, attempts)
                await self._pause(delivery, max(self._backoff_s(pauses), asked_for_s(error)))
                continue
            if decision.verdict is Verdict.BUSY:
                await self._pause(delivery, _BUSY_S)
            elif decision.verdict is Verdict.GAP:
                if not self._accept_gap(delivery, decision.last_seq):
                    raise _GivenUp
                accept = True
            else:
                return

    async def _apply_alone(self, run: Run, accept_gap: bool) -> Decision:
        (delivery,) = run.deliveries
        if delivery.sequence == 0:
            await self._applier.park_foreign(delivery)
            return Decision(Verdict.QUEUE)
        return (await self._applier.apply([run], accept_gap=accept_gap))[0]

    async def _park(self, run: Run, error: Exception, attempts: int) -> None:
        (delivery,) = run.deliveries
        reason = delivery.defect if isinstance(error, UnreadableEvent) else describe(error)
        pauses = 0
        while True:
            try:
                async with self._slots:
                    decision = await self._applier.park(run, reason, attempts)
            except Exception as parking_error:
                if classify(parking_error) is Failure.PERMANENT:
                    raise
                pauses += 1
                await self._pause(delivery, self._backoff_s(pauses))
                continue
            if decision.verdict is Verdict.BUSY:
                await self._pause(delivery, _BUSY_S)
                continue
            if decision.verdict is Verdict.GAP:
                raise _GivenUp
            _log.error("consumer.parked", key=run.key_id, event_id=delivery.event_id, reason=reason)
            return

    async def _pause(self, delivery: Delivery, seconds: float) -> None:
        until = time.monotonic() + seconds
        while (left := until - time.monotonic()) > 0:
            if self._ending.is_set() or (delivery.progress is not None and delivery.progress.revoked):
                raise _GivenUp
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(min(left, _LOOK_S)):
                    await self._ending.wait()

    def _backoff_s(self, pauses: int) -> float:
        first, longest = self._settings.backoff_s
        return min(longest, first * 2.0 ** min(pauses - 1, 16)) * random.uniform(0.75, 1.0)

    def _note_retry(self, delivery: Delivery, error: Exception, attempts: int) -> None:
        metrics.RETRIES.labels(self._applier.consumer, delivery.key_id.topic, reason_of(error)).inc()
        _log.warning(
            "consumer.retries",
            key=delivery.key_id,
            event_id=delivery.event_id,
            attempts=attempts,
            error=describe(error),
        )

    @staticmethod
    def _finish(deliveries: Sequence[Delivery]) -> None:
        for delivery in deliveries:
            if delivery.progress is not None:
                delivery.progress.finish(delivery.offset)
