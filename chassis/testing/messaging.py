"""A small world for tests of messaging: one database, one broker, an outbox, relays and consumers."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any

import structlog
from confluent_kafka import Consumer as KafkaConsumer
from confluent_kafka import KafkaError, Producer, TopicPartition
from google.protobuf.wrappers_pb2 import StringValue

from chassis.broker import Broker, BrokerSettings
from chassis.database import Database, Transaction
from chassis.inbox import INBOX_V1, Consumer, ConsumerSettings, ReceivedEvent, Subscription
from chassis.outbox import OUTBOX_V1, Outbox, Publication, Relay
from chassis.outbox.outbox import KEY_SEQUENCE
from chassis.outbox.outbox import PRODUCER as PRODUCER_HEADER
from chassis.testing.eventually import eventually
from greenledger.events.v1.event_pb2 import Event

_log = structlog.get_logger(__name__)

TOPIC = "test.happened"
PRODUCER = "source"
QUICK = ConsumerSettings(
    session_timeout_s=2.0, backoff_s=(0.02, 0.2), rewind_s=(0.3, 2.0), commit_every_s=0.2, drain_s=3.0
)
"""Limits as in production, but shorter waits."""

EFFECT = """
CREATE TABLE effect (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    consumer text NOT NULL, key text NOT NULL, seq bigint NOT NULL, value text NOT NULL
)
"""

Handler = Callable[[ReceivedEvent[StringValue], Transaction], Awaitable[None]]


class MessagingWorld:
    """Producer and consumers that share a database; effects are rows without a unique key, so that a
    second application shows.

    Args:
        dsn: an empty database.
        bootstrap: the broker.
    """

    def __init__(self, dsn: str, bootstrap: str) -> None:
        self.dsn = dsn
        self.bootstrap = bootstrap
        self.db: Database
        self.broker: Broker
        self.outbox = Outbox(PRODUCER, on_commit=self._wake)
        self.relays: list[Relay] = []
        self._running: dict[Relay | Consumer, asyncio.Task[None]] = {}

    async def open(self, *, create: bool = True) -> None:
        """Connect; make the tables unless somebody has."""
        self.db = await Database.connect(self.dsn)
        self.broker = Broker(BrokerSettings(self.bootstrap, fetch_wait_ms=10))
        if create:
            await self.db.execute(OUTBOX_V1 + INBOX_V1)
            await self.db.execute(EFFECT)

    async def close(self) -> None:
        """Stop what runs and disconnect."""
        for loop in list(self._running):
            await self.kill(loop)
        await self.broker.close()
        self.db.terminate()

    def relay(self, **options: Any) -> Relay:
        """Start a relay."""
        relay = Relay(self.db, self.broker, PRODUCER, **options)
        self.relays.append(relay)
        self._start(relay)
        return relay

    def consumer(
        self,
        handler: Handler | None = None,
        *,
        group: str = "sink",
        settings: ConsumerSettings = QUICK,
        **subscription: Any,
    ) -> Consumer:
        """Start a consumer; by default it records effects."""
        consumer = self.idle_consumer(handler, group=group, settings=settings, **subscription)
        self._start(consumer)
        return consumer

    def idle_consumer(
        self,
        handler: Handler | None = None,
        *,
        group: str = "sink",
        settings: ConsumerSettings = QUICK,
        **subscription: Any,
    ) -> Consumer:
        """A consumer that is not started."""
        to = Subscription(TOPIC, StringValue, handler or recorder(group), **subscription)
        return Consumer(self.db, self.broker, group, [to], settings)

    async def quiet(self, timeout_s: float = 20.0) -> None:
        """Wait until everything committed is sent, and everything sent is finished with by our consumers."""

        async def nothing_left() -> bool:
            for relay in self.relays:
                if (await relay.lag()).rows:
                    return False
            statuses = [await loop.status() for loop in self._running if isinstance(loop, Consumer)]
            return all(status.lag == 0 and status.partitions > 0 for status in statuses)

        done: bool = await eventually(nothing_left, timeout_s)
        assert done

    async def stop(self, loop: Relay | Consumer) -> None:
        """Stop a relay or consumer in order, and see what it died of if it did."""
        await loop.stop()
        await self._running.pop(loop)

    async def kill(self, loop: Relay | Consumer) -> None:
        """Cancel it without draining."""
        task = self._running.pop(loop)
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task

    async def publish(self, key: str, *values: str) -> None:
        """Publish events of one key in one transaction."""
        async with self.db.transaction() as tx:
            await self.outbox.publish(tx, [publication(key, value) for value in values])

    async def effects(self, group: str = "sink") -> dict[str, list[str]]:
        """Values applied, by key, in order of application."""
        rows = await self.db.fetch("SELECT key, value FROM effect WHERE consumer = $1 ORDER BY id", group)
        applied: dict[str, list[str]] = {}
        for row in rows:
            applied.setdefault(row["key"], []).append(row["value"])
        return applied

    async def count(self, group: str = "sink") -> int:
        """How many effects there are."""
        return int(await self.db.fetchval("SELECT count(*) FROM effect WHERE consumer = $1", group))

    def _start(self, loop: Relay | Consumer) -> None:
        self._running[loop] = asyncio.create_task(loop.run())
        self._running[loop].add_done_callback(_say_what_it_died_of)

    def _wake(self) -> None:
        for relay in self.relays:
            relay.wake()


def _say_what_it_died_of(task: asyncio.Task[None]) -> None:
    # A test that waits for its work would otherwise say only that nothing came.
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("loop.died", exc_info=error)


def publication(key: str, value: str) -> Publication:
    """An event of the test topic."""
    return Publication(TOPIC, key, StringValue(value=value), "thing")


def recorder(group: str = "sink") -> Handler:
    """A handler that writes one row per application."""

    async def record(event: ReceivedEvent[StringValue], tx: Transaction) -> None:
        await tx.execute(
            "INSERT INTO effect (consumer, key, seq, value) VALUES ($1, $2, $3, $4)",
            group,
            event.aggregate_id,
            event.key_sequence,
            event.payload.value,
        )

    return record


def batch_recorder(group: str = "sink") -> Callable[[Sequence[ReceivedEvent[StringValue]], Transaction], Any]:
    """The same for many events in one statement."""

    async def record(events: Sequence[ReceivedEvent[StringValue]], tx: Transaction) -> None:
        await tx.execute(
            """
            INSERT INTO effect (consumer, key, seq, value)
            SELECT $1, * FROM unnest($2::text[], $3::bigint[], $4::text[])
            """,
            group,
            [event.aggregate_id for event in events],
            [event.key_sequence for event in events],
            [event.payload.value for event in events],
        )

    return record


def read_topic(bootstrap: str, topic: str = TOPIC, timeout_s: float = 10.0) -> list[Event]:
    """All committed events of a topic by partition and offset, read without a group."""
    client = KafkaConsumer(
        {
            "bootstrap.servers": bootstrap,
            "group.id": "reader",
            "enable.auto.commit": False,
            "enable.partition.eof": True,
            "auto.offset.reset": "earliest",
            "log_level": 2,
        }
    )
    try:
        described = client.list_topics(timeout=timeout_s).topics.get(topic)
        open_ends = set(described.partitions) if described else set()
        client.assign([TopicPartition(topic, partition, 0) for partition in open_ends])
        events = []
        while open_ends:
            message = client.poll(timeout_s)
            if message is None:
                raise TimeoutError(f"{topic} was not read to its end")
            if message.error() is None:
                events.append(Event.FromString(message.value() or b""))
            elif (error := message.error()) and error.code() == KafkaError._PARTITION_EOF:
                open_ends.discard(message.partition())
        return events
    finally:
        client.close()


def send_raw(bootstrap: str, *records: tuple[str, bytes, dict[str, str]]) -> None:
    """Put records (key, value, headers) on the test topic past outbox and relay."""
    producer = Producer({"bootstrap.servers": bootstrap, "partitioner": "murmur2_random", "log_level": 2})
    for key, value, headers in records:
        producer.produce(
            TOPIC, key=key, value=value, headers=[(name, text.encode()) for name, text in headers.items()]
        )
    if producer.flush(10):
        raise TimeoutError("the broker did not confirm")


def raw_event(key: str, sequence: int, value: str) -> tuple[str, bytes, dict[str, str]]:
    """A record as the relay sends it."""
    event = Event(
        event_id=f"{key}-{sequence}",
        type=TOPIC,
        aggregate_id=key,
        key_sequence=sequence,
        producer=PRODUCER,
    )
    event.payload.Pack(StringValue(value=value))
    return key, event.SerializeToString(), {KEY_SEQUENCE: str(sequence), PRODUCER_HEADER: PRODUCER}
