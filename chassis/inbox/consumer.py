"""The consumer: applies the events of its subscriptions, each once in effect, in order per key."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import structlog

from chassis.broker import Broker
from chassis.clock import Clock, SystemClock
from chassis.database import Database
from chassis.errors import Unavailable
from chassis.inbox.applier import Applier
from chassis.inbox.events import Subscription
from chassis.inbox.parked import ParkedEvents
from chassis.inbox.session import Session
from chassis.inbox.settings import ConsumerSettings

_log = structlog.get_logger(__name__)

_RETRY_S = (0.1, 2.0)


@dataclass(frozen=True, slots=True)
class ConsumerStatus:
    """What a consumer is doing.

    Args:
        group: its name.
        in_flight: events taken from the broker and not finished.
        lag: records on its partitions that are not finished.
        lag_s: age in seconds of the latest event taken from the partition that is furthest behind; 0 when
            nothing is.
        partitions: how many it has; 0 while the group is being formed.
        paused: whether too much is in flight.
        parked_keys: keys of the whole group that wait for an operator.
    """

    group: str
    in_flight: int
    lag: int
    lag_s: float
    partitions: int
    paused: bool
    parked_keys: int


class Consumer:
    """One member of a consumer group; run as many processes as there are partitions to share.

    Per key, events are applied in order, each in a transaction with its position, so duplicates and
    redeliveries take no effect. A passing failure is tried again and blocks its key only; what goes on
    failing is parked with its key. A lost broker or database is waited for. When the broker begins a new
    incarnation, everything is read again from its beginning.

    Args:
        db: the service's database, with the tables of `INBOX_V1`.
        broker: where from.
        group: the service's name; positions are kept under it.
        subscriptions: one per topic.
        settings: bounds; see there for defaults.
        clock: for the audit; default the system's.

    Raises:
        ValueError: a topic is subscribed to twice.
    """

    def __init__(
        self,
        db: Database,
        broker: Broker,
        group: str,
        subscriptions: Sequence[Subscription[Any]],
        settings: ConsumerSettings | None = None,
        *,
        clock: Clock | None = None,
    ) -> None:
        self.group = group
        self._broker = broker
        self._settings = settings or ConsumerSettings()
        self._subscriptions = {subscription.topic: subscription for subscription in subscriptions}
        if len(self._subscriptions) < len(subscriptions):
            raise ValueError(f"{group} subscribes to a topic twice")
        self._applier = Applier(db, group, self._subscriptions, self._settings)
        self.parked = ParkedEvents(db, self._applier, self._subscriptions, clock or SystemClock())
        self._session: Session | None = None
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()
        self._ended.set()

    @property
    def in_flight(self) -> int:
        """Events taken from the broker and not finished; at most `max_in_flight`."""
        return self._session.queues.size if self._session else 0

    @property
    def paused(self) -> bool:
        """Whether partitions are paused because too much is in flight."""
        return self._session is not None and self._session.paused

    async def run(self) -> None:
        """Consume until stopped.

        Raises:
            ExceptionGroup: a defect, such as a missing table; what handlers raise never comes out here.
        """
        if not self._subscriptions:
            await self._stopping.wait()
            return
        self._ended.clear()
        delay = _RETRY_S[0]
        try:
            while not self._stopping.is_set():
                try:
                    life = await self._broker.incarnation()
                    await self._broker.ensure_topics(self._subscriptions)
                    delay = _RETRY_S[0]
                except Unavailable as error:
                    _log.warning("consumer.no_broker", group=self.group, error=str(error))
                    await self._pause(delay)
                    delay = min(delay * 2, _RETRY_S[1])
                    continue
                await self._consume(life)
        finally:
            self._ended.set()

    async def stop(self) -> None:
        """Finish what handlers have in hand, commit, leave the group, and end `run`."""
        self._stopping.set()
        if self._session is not None:
            self._session.end()
        await self._ended.wait()

    async def status(self) -> ConsumerStatus:
        """What it is doing.

        Raises:
            Unavailable: the database does not answer.
        """
        session = self._session
        return ConsumerStatus(
            group=self.group,
            in_flight=self.in_flight,
            lag=session.lag_records if session else 0,
            lag_s=session.lag_seconds if session else 0.0,
            partitions=session.partitions if session else 0,
            paused=self.paused,
            parked_keys=await self.parked.count_keys(),
        )

    async def _consume(self, life: str) -> None:
        session = Session(self._broker, life, self._applier, self._subscriptions, self._settings)
        self._session = session
        if self._stopping.is_set():
            session.end()
        try:
            await session.run()
        finally:
            self._session = None

    async def _pause(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds * random.uniform(0.75, 1.0)):
                await self._stopping.wait()
        except TimeoutError:
            return
