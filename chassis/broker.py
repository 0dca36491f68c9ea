"""The broker: settings, topics, and the incarnation that tells one of its lives from the next."""

import asyncio
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import structlog
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from chassis.broker_options import BrokerOptions, BrokerOptionsError
from chassis.errors import Unavailable
from chassis.ids import IdSource, SystemIds

_log = structlog.get_logger(__name__)

INCARNATION_TOPIC = "greenledger.incarnation"
_ANSWER_S = 3.0


@dataclass(frozen=True, slots=True)
class BrokerSettings:
    """How to reach the broker and what its topics look like.

    Args:
        bootstrap: comma-separated host:port.
        partitions: of a topic made by us; default 2. Do not raise it on a live topic: a key would move
            to another partition while its earlier events still wait in the old one.
        replication: copies of each partition; default -1, the broker's own default.
        retention: how long the broker keeps events; default None, for ever: a consumer that joins late, or
            was away for long, has nowhere else to read the beginning.
        fetch_wait_ms: how long the broker may hold a consumer's request when it has nothing; default 20.
            Apache Kafka answers as soon as something arrives, so 500 costs nothing there; Tansu
            answers when the time is over, so this is most of an event's latency, and costs its idle CPU
            (about 3 % of a core per consumer at 20 ms, 2 % at 50 ms).
        max_message_bytes: the largest record; default 1,000,000. The broker's own limit must not be less
            (message.max.bytes of Apache Kafka, 1,048,588 by default), nor the outbox's more.
        options: further librdkafka properties (security.protocol, sasl.*); default none.

    Source: https://github.com/confluentinc/librdkafka/blob/master/CONFIGURATION.md
    """

    bootstrap: str
    partitions: int = 2
    replication: int = -1
    retention: timedelta | None = None
    fetch_wait_ms: int = 20
    max_message_bytes: int = 1_000_000
    options: BrokerOptions = field(default_factory=BrokerOptions)


class Broker:
    """What relays and consumers of one process share.

    Every librdkafka call blocks and some do not bear company from another thread, so all of them run
    on one thread of this object. Close it when relays and consumers are done.

    Args:
        settings: where the broker is.
        ids: names a new incarnation; default random UUIDv7.
    """

    def __init__(self, settings: BrokerSettings, ids: IdSource | None = None) -> None:
        self.settings = settings
        self._ids = ids or SystemIds()
        self._thread = ThreadPoolExecutor(1, "broker")
        self._lock = asyncio.Lock()
        self._reader: Consumer | None = None
        self._life = ""
        self._life_read_at = float("-inf")
        self._topics: set[str] = set()

    def client_options(self, **options: Any) -> dict[str, Any]:
        """librdkafka properties that every client needs, and those given (underscores stand for dots)."""
        ours = {name.replace("_", "."): value for name, value in options.items()}
        return {
            "bootstrap.servers": self.settings.bootstrap,
            "reconnect.backoff.ms": 50,
            "reconnect.backoff.max.ms": 1000,
            "message.max.bytes": self.settings.max_message_bytes,
            "log_level": 2,  # lost connections are our business; they show in our own log and metrics
            **self.settings.options,
            **ours,
        }

    def check_options(self) -> None:
        """See that librdkafka accepts the options; connects to nothing.

        Raises:
            BrokerOptionsError: it knows one of them not, or not such a value. Otherwise the first
                connection would fail, and be tried again for ever.
        """
        try:
            AdminClient(self.client_options())
        except (KafkaException, ValueError, TypeError) as error:
            text = error.args[0].str() if isinstance(error, KafkaException) else str(error)
            raise BrokerOptionsError(self.settings.options.without_values(text)) from None

    def ask(self, timeout_s: float) -> None:
        """Ask the broker anything, blocking, to see that it takes us for a client.

        Raises:
            Unavailable: it does not answer, or not to us.
        """
        try:
            AdminClient(self.client_options()).list_topics(timeout=timeout_s)
        except KafkaException as error:
            raise unavailable(error) from error

    async def incarnation(self, max_age_s: float = 1.0) -> str:
        """The id of this broker's life: the value of the first record of its own topic.

        A broker that lost its data has lost that record too, so whoever finds the topic empty writes a
        new one. Two writers do no harm, because everybody reads offset 0.

        Args:
            max_age_s: an answer read at most so many seconds ago will do; default 1.

        Raises:
            Unavailable: the broker does not answer.
        """
        async with self._lock:
            if time.monotonic() - self._life_read_at > max_age_s:
                life = await self._call(self._read_or_write_life)
                if life != self._life:
                    _log.info("broker.incarnation", incarnation=life, before=self._life)
                    self._topics.clear()
                self._life, self._life_read_at = life, time.monotonic()
            return self._life

    async def ensure_topics(self, topics: Collection[str]) -> None:
        """Create those that do not exist; asks the broker once per topic and incarnation.

        Raises:
            Unavailable: the broker does not answer, or refuses to create one.
        """
        missing = sorted(set(topics) - self._topics)
        if missing:
            retention = self.settings.retention
            retention_ms = int(retention.total_seconds() * 1000) if retention else -1
            await self._call(self._create, missing, self.settings.partitions, retention_ms)
            self._topics.update(missing)

    async def close(self) -> None:
        """Let the connections and the thread go."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop_reader)
        self._thread.shutdown(wait=False)

    async def _call(self, function: Any, *args: Any) -> Any:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        except KafkaException as error:
            raise unavailable(error) from error
        except TimeoutError as error:  # librdkafka did not even say that it had none
            raise Unavailable("UNAVAILABLE", "The broker does not answer.") from error

    def _read_or_write_life(self) -> str:
        life = self._read_life()
        if life is None:
            # No time limit on this topic: its first record must outlive everything else.
            self._create([INCARNATION_TOPIC], 1, -1)
            self._write_life(self._ids.uuid7())
            self._drop_reader()
            life = self._read_life()
        if life is None:
            raise KafkaException(
                KafkaError(KafkaError._TIMED_OUT, "the incarnation was written but not read")
            )
        return life

    def _read_life(self) -> str | None:
        if self._reader is None:
            self._reader = Consumer(
                self.client_options(
                    group_id="greenledger.incarnation",
                    enable_auto_commit=False,
                    enable_partition_eof=True,
                    auto_offset_reset="earliest",
                    fetch_wait_max_ms=20,
                )
            )
        reader, deadline = self._reader, time.monotonic() + _ANSWER_S
        # Without this look a missing topic stays silent for 30 s, and a client that has known another
        # life goes by what it remembers.
        if INCARNATION_TOPIC not in reader.list_topics(timeout=_ANSWER_S).topics:
            return None
        reader.assign([TopicPartition(INCARNATION_TOPIC, 0, 0)])
        try:
            while (left := deadline - time.monotonic()) > 0:
                message = reader.poll(left)
                if message is None:
                    break
                error = message.error()
                if error is None:
                    value = message.value()
                    assert value is not None
                    return value.decode()
                if error.code() == KafkaError._PARTITION_EOF:
                    return None
        finally:
            reader.unassign()  # or it would go on fetching
        self._drop_reader()
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT, "no answer about the incarnation"))

    def _write_life(self, life: str) -> None:
        producer = Producer(self.client_options(enable_idempotence=True, message_timeout_ms=3000))
        failures: list[KafkaError] = []
        producer.produce(
            INCARNATION_TOPIC,
            value=life.encode(),
            partition=0,
            on_delivery=lambda error, _message: failures.append(error) if error else None,
        )
        if producer.flush(_ANSWER_S) or failures:
            raise KafkaException(failures[0] if failures else KafkaError(KafkaError._TIMED_OUT))

    def _create(self, topics: Collection[str], partitions: int, retention_ms: int) -> None:
        admin = AdminClient(self.client_options())
        new = [
            NewTopic(topic, partitions, self.settings.replication, config={"retention.ms": str(retention_ms)})
            for topic in topics
        ]
        for done in admin.create_topics(new, request_timeout=_ANSWER_S).values():
            try:
                done.result(_ANSWER_S + 1)
            except KafkaException as error:
                if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
                    raise

    def _drop_reader(self) -> None:
        if self._reader is not None:
            self._reader.close()
            self._reader = None


def unavailable(error: KafkaException) -> Unavailable:
    """A failure of the broker as the kind that callers retry on."""
    return Unavailable("UNAVAILABLE", f"The broker cannot be used: {error.args[0]}")
