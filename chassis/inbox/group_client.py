"""A member of a consumer group, on a thread of its own."""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import structlog
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, Message, TopicPartition

from chassis.broker import Broker, unavailable
from chassis.inbox.settings import ConsumerSettings

_log = structlog.get_logger(__name__)

_QUERY_S = 3.0
_HARMLESS = frozenset(
    {KafkaError._TRANSPORT, KafkaError._ALL_BROKERS_DOWN, KafkaError._RESOLVE, KafkaError._TIMED_OUT}
)


class Partition(NamedTuple):
    """A partition of a topic."""

    topic: str
    number: int


Assigned = Callable[[Collection[Partition]], Awaitable[None]]
Revoked = Callable[[Collection[Partition], bool], Awaitable[Mapping[Partition, int]]]


class GroupClient:
    """Wraps a librdkafka consumer.

    All calls run on one thread: rebalance callbacks come out of `poll` and answer on the same thread,
    and calls from a second thread were seen to hang while `poll` waits.

    Args:
        broker: where to.
        group: consumer group.
        topics: what to subscribe to.
        settings: timeouts.
        assigned: awaited on the event loop with new partitions, before the first record of them.
        revoked: awaited with partitions to give up, and whether they are lost already; returns offsets
            to commit.
    """

    def __init__(
        self,
        broker: Broker,
        group: str,
        topics: Sequence[str],
        settings: ConsumerSettings,
        *,
        assigned: Assigned,
        revoked: Revoked,
    ) -> None:
        self._topics = list(topics)
        self._assigned, self._revoked = assigned, revoked
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "consumer")
        self._paused = False
        self._options = broker.client_options(
            group_id=group,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
            partition_assignment_strategy="cooperative-sticky",
            enable_auto_commit=False,
            enable_partition_eof=True,
            session_timeout_ms=int(settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(settings.session_timeout_s * 1000 / 10),
            max_poll_interval_ms=int(max(60.0, settings.session_timeout_s, settings.drain_s * 2) * 1000),
            topic_metadata_refresh_interval_ms=5000,
            # Fetched ahead of a pause it is thrown away again; the bound of memory counts more.
            queued_max_messages_kbytes=4096,
            queued_min_messages=1000,
            fetch_wait_max_ms=broker.settings.fetch_wait_ms,
            fetch_error_backoff_ms=50,
        )
        self._client: Consumer | None = None

    async def open(self) -> None:
        """Join the group."""
        await self._call(self._open)

    async def fetch(self, most: int, timeout_s: float) -> list[Message]:
        """Wait for a record, at most so many seconds, and take what is there; errors are messages too."""
        messages: list[Message] = await self._call(self._fetch, most, timeout_s)
        return messages

    async def pause(self) -> None:
        """Take no more records from any partition, those assigned later included."""
        await self._call(self._pause, True)

    async def resume(self) -> None:
        """Undo `pause`."""
        await self._call(self._pause, False)

    async def rewind(self, partition: Partition) -> int:
        """Go back to the beginning of a partition; returns its low watermark.

        Raises:
            Unavailable: the broker does not answer.
        """
        low: int = await self._call(self._rewind, partition)
        return low

    async def commit(self, offsets: Mapping[Partition, int]) -> None:
        """Commit offsets without waiting for the answer."""
        await self._call(self._commit, offsets, True)

    async def ends(self) -> dict[Partition, int]:
        """The last known end of each assigned partition."""
        ends: dict[Partition, int] = await self._call(self._ends)
        return ends

    async def close(self) -> None:
        """Give all partitions up, leave the group, end the thread."""
        try:
            await self._call(self._close)
        finally:
            self._thread.shutdown(wait=False)

    async def _call(self, function: Callable[..., Any], *args: Any) -> Any:
        try:
            return await self._loop.run_in_executor(self._thread, function, *args)
        except KafkaException as error:
            raise unavailable(error) from error

    @property
    def _consumer(self) -> Consumer:
        assert self._client is not None, "open() comes first"
        return self._client

    def _open(self) -> None:
        self._client = Consumer(self._options)
        self._client.subscribe(
            self._topics, on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_lost
        )

    def _fetch(self, most: int, timeout_s: float) -> list[Message]:
        first = self._consumer.poll(timeout_s)
        if first is None:
            return []
        # consume(n, t) waits for n or the whole of t; with 0 it takes what has been fetched already.
        return [first, *(self._consumer.consume(most - 1, 0) if most > 1 else [])]

    def _pause(self, paused: bool) -> None:
        self._paused = paused
        assignment = self._consumer.assignment()
        (self._consumer.pause if paused else self._consumer.resume)(assignment)

    def _rewind(self, partition: Partition) -> int:
        low, _ = self._consumer.get_watermark_offsets(TopicPartition(*partition), timeout=_QUERY_S)
        self._consumer.seek(TopicPartition(*partition, OFFSET_BEGINNING))
        return int(low)

    def _commit(self, offsets: Mapping[Partition, int], asynchronous: bool) -> None:
        if offsets:
            positions = [TopicPartition(*partition, offset) for partition, offset in offsets.items()]
            if asynchronous:
                self._consumer.commit(offsets=positions, asynchronous=True)
            else:
                self._consumer.commit(offsets=positions, asynchronous=False)

    def _ends(self) -> dict[Partition, int]:
        ends = {}
        for assigned in self._consumer.assignment():
            _, high = self._consumer.get_watermark_offsets(assigned, cached=True)
            ends[Partition(assigned.topic, assigned.partition)] = max(0, high)
        return ends

    def _close(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None

    def _on_assign(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        names = [Partition(partition.topic, partition.partition) for partition in partitions]
        asyncio.run_coroutine_threadsafe(_awaited(self._assigned(names)), self._loop).result()
        client.incremental_assign(partitions)
        if self._paused:
            client.pause(partitions)

    def _on_revoke(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up(client, partitions, lost=False)

    def _on_lost(self, client: Consumer, partitions: list[TopicPartition]) -> None:
        self._give_up(client, partitions, lost=True)

    def _give_up(self, client: Consumer, partitions: list[TopicPartition], *, lost: bool) -> None:
        names = [Partition(partition.topic, partition.partition) for partition in partitions]
        offsets = asyncio.run_coroutine_threadsafe(_awaited(self._revoked(names, lost)), self._loop).result()
        try:
            if not lost:
                self._commit(offsets, False)
        except KafkaException as error:
            # The next owner starts earlier and drops what was applied.
            if error.args[0].code() not in _HARMLESS:
                _log.warning("consumer.commit_failed", error=str(error))
        client.incremental_unassign(partitions)


async def _awaited(awaitable: Awaitable[Any]) -> Any:
    return await awaitable


def is_harmless(error: KafkaError) -> bool:
    """Whether librdkafka goes on by itself after this event."""
    return error.code() in _HARMLESS
