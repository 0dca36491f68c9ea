"""What has arrived and waits for its turn: one queue per key, bounded in sum by the poll loop."""

import asyncio
from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from chassis.inbox.events import Delivery, KeyId
from chassis.inbox.progress import PartitionProgress


@dataclass(frozen=True, slots=True)
class Run:
    """Consecutive events of one key, or one record without a sequence."""

    key_id: KeyId
    deliveries: Sequence[Delivery]

    @property
    def first(self) -> int:
        """Sequence number of the first."""
        return self.deliveries[0].sequence

    @property
    def last(self) -> int:
        """Sequence number of the last."""
        return self.deliveries[-1].sequence


class KeyQueues:
    """Deliveries in order of arrival per key; a key that is worked on is not given out again."""

    def __init__(self) -> None:
        self._queues: dict[KeyId, deque[Delivery]] = {}
        self._ready: dict[str, deque[KeyId]] = {}
        self._working: dict[KeyId, Run] = {}
        self._size = 0
        self._changed = asyncio.Event()

    @property
    def size(self) -> int:
        """Deliveries in flight: queued, being worked on, or waiting to be tried again."""
        return self._size

    def add(self, delivery: Delivery) -> None:
        """Queue an arrival."""
        self._size += 1
        queue = self._queues.get(delivery.key_id)
        if queue is None:
            queue = self._queues[delivery.key_id] = deque()
        if not queue and delivery.key_id not in self._working:
            self._make_ready(delivery.key_id)
        queue.append(delivery)

    async def wait_ready(self) -> None:
        """Wait until `take` would give something."""
        while not any(self._ready.values()):
            self._changed.clear()
            await self._changed.wait()

    def take(self, most: int) -> list[Run]:
        """Runs of different keys of one topic, at most so many deliveries in sum; none when none is ready."""
        if not any(self._ready.values()):
            return []
        topic = next(topic for topic, ready in self._ready.items() if ready)
        ready = self._ready.pop(topic)
        runs: list[Run] = []
        while ready and most > 0:
            key_id = ready.popleft()
            run = self._run(key_id, most)
            runs.append(run)
            most -= len(run.deliveries)
        # Put the topic behind the others: a busy one must not starve them.
        self._ready[topic] = ready
        return runs

    def release(self, run: Run) -> None:
        """A run is done, one way or another: its deliveries are out of flight, its key may go on."""
        self._size -= len(run.deliveries)
        del self._working[run.key_id]
        if self._queues.get(run.key_id):
            self._make_ready(run.key_id)
        else:
            self._queues.pop(run.key_id, None)
        self._changed.set()

    def drop(self, progress: PartitionProgress) -> None:
        """Forget what is queued (not what is worked on) of a pass that is over."""
        for key_id, queue in list(self._queues.items()):
            kept = deque(delivery for delivery in queue if delivery.progress is not progress)
            self._size -= len(queue) - len(kept)
            self._queues[key_id] = kept
            if not kept and key_id not in self._working:
                del self._queues[key_id]
                self._ready[key_id.topic].remove(key_id)
        self._changed.set()

    def working_on(self, passes: Collection[PartitionProgress]) -> bool:
        """Whether deliveries of these passes are being worked on."""
        return any(run.deliveries[0].progress in passes for run in self._working.values())

    async def wait_until(self, most: int, timeout_s: float) -> bool:
        """Wait until at most so many are in flight; False when the time, in seconds, ran out."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._size > most:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True

    def _run(self, key_id: KeyId, most: int) -> Run:
        queue = self._queues[key_id]
        deliveries = [queue.popleft()]
        while (
            queue
            and len(deliveries) < most
            and deliveries[-1].sequence > 0
            and queue[0].sequence == deliveries[-1].sequence + 1
            and queue[0].progress is deliveries[-1].progress
        ):
            deliveries.append(queue.popleft())
        run = self._working[key_id] = Run(key_id, deliveries)
        return run

    def _make_ready(self, key_id: KeyId) -> None:
        ready = self._ready.get(key_id.topic)
        if ready is None:
            ready = self._ready[key_id.topic] = deque()
        ready.append(key_id)
        self._changed.set()
