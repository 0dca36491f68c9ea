"""One membership in the consumer group, within one incarnation of the broker."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from confluent_kafka import KafkaError, Message

from chassis.broker import Broker
from chassis.errors import Unavailable
from chassis.inbox import metrics
from chassis.inbox.applier import Applier
from chassis.inbox.events import Delivery, RawHeaders, Record, Subscription, as_text, decode
from chassis.inbox.group_client import GroupClient, Partition, is_harmless
from chassis.inbox.key_queues import KeyQueues
from chassis.inbox.progress import GapPolicy, PartitionProgress
from chassis.inbox.settings import ConsumerSettings
from chassis.inbox.workers import Workers

_log = structlog.get_logger(__name__)

_POLL_S = 0.25
_GRACE_S = 0.5
_LIFE_CHECK_S = 1.0


class Session:
    """Polls, queues, pauses, commits and rewinds until told to end or until the incarnation changes.

    The group's name carries the incarnation. Offsets of an earlier life mean nothing in this one, even
    if somebody commits them late; under another name nobody can mistake them, and a member that
    comes into a new life starts at the beginning.

    Args:
        broker: where from.
        life: the incarnation that this session belongs to.
        applier: applies events; its name is the group's.
        subscriptions: by topic.
        settings: bounds.
    """

    def __init__(
        self,
        broker: Broker,
        life: str,
        applier: Applier,
        subscriptions: Mapping[str, Subscription[Any]],
        settings: ConsumerSettings,
    ) -> None:
        self._broker = broker
        self._life = life
        self._subscriptions = subscriptions
        self._settings = settings
        self._group = applier.consumer
        self.queues = KeyQueues()
        self._workers = Workers(applier, self.queues, settings, self._accept_gap)
        self._progress: dict[Partition, PartitionProgress] = {}
        self._gaps: dict[Partition, GapPolicy] = {}
        self._client = GroupClient(
            broker,
            f"{self._group}.{life}",
            list(subscriptions),
            settings,
            assigned=self._assigned,
            revoked=self._revoked,
        )
        self._ending = False
        self._commit_due = 0.0
        self.paused = False
        self.lag_records = 0
        self.lag_seconds = 0.0

    @property
    def partitions(self) -> int:
        """How many are assigned."""
        return len(self._progress)

    def end(self) -> None:
        """Ask `run` to drain and return."""
        self._ending = True

    async def run(self) -> None:
        """Consume until ended, until the broker lives another life, or until it refuses this member."""
        try:
            async with asyncio.TaskGroup() as tasks:
                background = [tasks.create_task(self._workers.run()), tasks.create_task(self._watch_life())]
                try:
                    await self._client.open()
                    while not self._ending:
                        await self._step()
                    await self._drain()
                finally:
                    # Leaving the group needs the workers: revocation waits for what they have in hand.
                    self._workers.end()
                    await self._client.close()
                    for task in background:
                        task.cancel()
        finally:
            metrics.IN_FLIGHT.labels(self._group).set(0)
            metrics.PAUSED.labels(self._group).set(0)

    async def _step(self) -> None:
        try:
            await self._poll()
            await self._housekeeping()
        except Unavailable as error:
            _log.warning("consumer.interrupted", group=self._group, error=str(error))
            await asyncio.sleep(_POLL_S)

    async def _poll(self) -> None:
        if self.paused:
            if self.queues.size <= self._settings.resume_at:
                await self._set_paused(False)
            else:
                # A paused member must still poll, or the group takes it for dead.
                self._accept(await self._client.fetch(1, 0))
                await self.queues.wait_until(self._settings.resume_at, _POLL_S)
            return
        room = self._settings.max_in_flight - self.queues.size
        if room > 0:
            self._accept(await self._client.fetch(room, _POLL_S))
        # A pause throws away what librdkafka has fetched ahead, so a full queue that is quickly worked
        # off is better waited for.
        elif not await self.queues.wait_until(self._settings.max_in_flight - 1, _GRACE_S):
            await self._set_paused(True)

    async def _set_paused(self, paused: bool) -> None:
        await (self._client.pause() if paused else self._client.resume())
        self.paused = paused
        metrics.PAUSED.labels(self._group).set(paused)

    def _accept(self, messages: Sequence[Message]) -> None:
        for message in messages:
            error = message.error()
            if error is not None:
                self._note(error, message)
                continue
            topic, partition, offset = message.topic(), message.partition(), message.offset()
            assert topic is not None
            assert partition is not None
            assert offset is not None
            progress = self._progress.get(Partition(topic, partition))
            if progress is None:
                continue
            delivery = decode(_record(topic, message), self._subscriptions[topic].payload_type)
            delivery.progress, delivery.offset = progress, offset
            progress.arrive(offset)
            if delivery.event is not None:
                progress.recorded_at = delivery.event.recorded_time
            self._gaps[Partition(topic, partition)].meet(delivery.key_id, delivery.sequence)
            self.queues.add(delivery)
        metrics.IN_FLIGHT.labels(self._group).set(self.queues.size)

    def _note(self, error: KafkaError, message: Message) -> None:
        topic, partition, offset = message.topic(), message.partition(), message.offset()
        if error.code() == KafkaError._PARTITION_EOF and topic is not None and partition is not None:
            progress = self._progress.get(Partition(topic, partition))
            if progress is not None and offset is not None:
                progress.reach_end(offset)
        elif error.fatal():
            _log.error("consumer.refused", group=self._group, error=str(error))
            self._ending = True
        elif not is_harmless(error):
            _log.warning("consumer.broker_error", group=self._group, error=str(error))

    async def _housekeeping(self) -> None:
        now = time.monotonic()
        for partition, gaps in self._gaps.items():
            if gaps.due(now):
                await self._rewind(partition, gaps)
        if now >= self._commit_due:
            self._commit_due = now + self._settings.commit_every_s
            await self._commit()
            await self._measure_lag()

    async def _commit(self) -> None:
        offsets = {}
        for partition, progress in self._progress.items():
            offset = progress.uncommitted()
            if offset is not None:
                offsets[partition] = offset
                progress.committed(offset)
            if progress.end is not None and progress.unfinished == 0:
                self._gaps[partition].calm()
        await self._client.commit(offsets)

    async def _measure_lag(self) -> None:
        ends = await self._client.ends()
        records, now = 0, datetime.now(UTC)
        oldest = now
        for partition, progress in self._progress.items():
            behind = progress.unfinished
            if progress.end is None:
                behind = max(behind, ends.get(partition, 0) - (progress.next_offset or 0))
            if behind and progress.recorded_at is not None:
                oldest = min(oldest, progress.recorded_at)
            records += behind
        self.lag_records, self.lag_seconds = records, (now - oldest).total_seconds() if records else 0.0
        metrics.LAG.labels(self._group).set(records)

    async def _watch_life(self) -> None:
        while not self._ending:
            await asyncio.sleep(_LIFE_CHECK_S)
            try:
                life = await self._broker.incarnation(_LIFE_CHECK_S / 2)
            except Unavailable:
                continue
            if life != self._life:
                _log.warning(
                    "consumer.new_incarnation", group=self._group, incarnation=life, before=self._life
                )
                self._ending = True

    async def _drain(self) -> None:
        # Queued but not begun: read again by whoever comes next.
        for progress in self._progress.values():
            self.queues.drop(progress)
        self._workers.end()
        await self.queues.wait_until(0, self._settings.drain_s)

    async def _assigned(self, partitions: Collection[Partition]) -> None:
        for partition in partitions:
            self._progress[partition] = PartitionProgress(*partition)
            self._gaps[partition] = GapPolicy(*self._settings.rewind_s)
        if partitions:
            _log.info(
                "consumer.assigned",
                group=self._group,
                partitions=[f"{p.topic}/{p.number}" for p in partitions],
            )

    async def _revoked(self, partitions: Collection[Partition], lost: bool) -> Mapping[Partition, int]:
        given_up = {p: self._progress[p] for p in partitions if p in self._progress}
        for partition, progress in given_up.items():
            progress.revoked = True
            self.queues.drop(progress)
            del self._gaps[partition]
        if not lost:
            await self._handlers_done(given_up.values())
        for partition in given_up:
            del self._progress[partition]
        offsets = {partition: progress.next_offset for partition, progress in given_up.items()}
        return {partition: offset for partition, offset in offsets.items() if offset is not None}

    async def _handlers_done(self, passes: Collection[PartitionProgress]) -> None:
        deadline = time.monotonic() + self._settings.drain_s
        while self.queues.working_on(passes) and time.monotonic() < deadline:
            await self.queues.wait_until(self.queues.size - 1, deadline - time.monotonic())

    def _accept_gap(self, delivery: Delivery, last_seq: int) -> bool:
        progress, key_id = delivery.progress, delivery.key_id
        assert progress is not None
        partition = Partition(progress.topic, progress.partition)
        if progress.revoked or self._progress.get(partition) is not progress:
            return False  # from a pass that is over; the new one will bring it again
        accepted = self._gaps[partition].judge(key_id, delivery.sequence, last_seq, time.monotonic())
        outcome = "accepted" if accepted else "waits"
        metrics.GAPS.labels(self._group, key_id.topic, outcome).inc()
        _log.warning(
            "consumer.gap",
            group=self._group,
            key=key_id,
            last=last_seq,
            met=delivery.sequence,
            outcome=outcome,
        )
        return accepted

    async def _rewind(self, partition: Partition, gaps: GapPolicy) -> None:
        low = await self._client.rewind(partition)
        self.queues.drop(self._progress[partition])
        self._progress[partition] = PartitionProgress(*partition)
        gaps.rewind(low, time.monotonic())
        metrics.REWINDS.labels(self._group, partition.topic).inc()


def _record(topic: str, message: Message) -> Record:
    value = message.value()

    def headers() -> RawHeaders:
        found = message.headers()
        return found if isinstance(found, list) else ()

    return Record(topic, as_text(message.key()), value if isinstance(value, bytes) else b"", headers)
