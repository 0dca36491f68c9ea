"""The broker's side of the relay: a transactional producer on its own thread."""

import asyncio
import json
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import asyncpg
from confluent_kafka import KafkaError, KafkaException, Producer

from chassis.broker import Broker, unavailable
from chassis.outbox.outbox import KEY_SEQUENCE

_INIT_S = 10.0
_SEND_S = 15.0
_LOOK_S = 0.25  # how long librdkafka is left alone before somebody sees that the sending was abandoned
_KEY_SEQUENCE_TAG = b"\x30"  # field 6, varint


class Sender:
    """Sends batches in transactions under one transactional id.

    The transaction is there to fence: when a second sender starts under the id, the first can commit
    nothing more, and a broker that was emptied refuses a producer that it never met, so a batch
    cannot slip into a new life behind the relay's back. An aborted batch does no harm if it is seen
    (some brokers show it): all that is ever sent is committed in the outbox.

    Args:
        broker: where to.
        transactional_id: of the relay and its shard; the same in every process.
    """

    def __init__(self, broker: Broker, transactional_id: str) -> None:
        self._broker = broker
        self._transactional_id = transactional_id
        self._thread = ThreadPoolExecutor(1, "relay")
        self._producer: Producer | None = None
        self._abandoned = threading.Event()

    async def open(self) -> None:
        """Start a producer and fence all earlier ones.

        Raises:
            Unavailable: the broker does not answer.
        """
        await self._call(self._open)

    async def send(self, rows: Sequence[asyncpg.Record]) -> None:
        """Send rows in order and wait for every delivery report.

        Raises:
            Unavailable: not all were confirmed; the producer is given up, `open` makes the next one.
        """
        await self._call(self._send, rows)

    def abandon(self) -> None:
        """Let what is being sent fail soon: the broker that it began with is gone, and waiting is in vain.

        A wiped broker does not refuse the commit of a transaction that it never heard of; librdkafka would
        wait for it until its time is over.
        """
        self._abandoned.set()

    async def close(self) -> None:
        """Give the producer and its thread up."""
        await asyncio.get_running_loop().run_in_executor(self._thread, self._drop)
        self._thread.shutdown(wait=False)

    async def _call(self, function: Callable[..., None], *args: Any) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)
        except KafkaException as error:
            raise unavailable(error) from error

    def _open(self) -> None:
        self._drop()
        producer = Producer(
            self._broker.client_options(
                transactional_id=self._transactional_id,
                acks="all",
                linger_ms=0,
                message_timeout_ms=int(_SEND_S * 1000),
                transaction_timeout_ms=60_000,
                partitioner="murmur2_random",  # as the Java client, so that other producers agree
            )
        )
        producer.init_transactions(_INIT_S)
        self._producer = producer

    def _send(self, rows: Sequence[asyncpg.Record]) -> None:
        if self._producer is None:
            raise KafkaException(KafkaError(KafkaError._STATE, "the producer was given up"))
        self._abandoned.clear()
        try:
            self._send_transaction(self._producer, rows)
        except (KafkaException, BufferError) as error:
            # Its state is unknown. The next producer's start aborts what this one left open.
            self._drop()
            if isinstance(error, BufferError):
                raise KafkaException(KafkaError(KafkaError._QUEUE_FULL)) from error
            raise

    def _send_transaction(self, producer: Producer, rows: Sequence[asyncpg.Record]) -> None:
        failures: list[KafkaError] = []

        def note(error: KafkaError | None, _message: object) -> None:
            if error is not None:
                failures.append(error)

        deadline = time.monotonic() + _SEND_S
        producer.begin_transaction()
        for row in rows:
            sequence = row["key_seq"]
            headers = [(name, value.encode()) for name, value in json.loads(row["headers"]).items()]
            producer.produce(
                row["topic"],
                key=row["key"].encode(),
                value=with_key_sequence(row["payload"], sequence),
                headers=[*headers, (KEY_SEQUENCE, str(sequence).encode())],
                on_delivery=note,
            )
        while producer.flush(_LOOK_S) and not failures:
            self._go_on(deadline)
        if failures:
            raise KafkaException(failures[0])
        while not self._committed(producer):
            self._go_on(deadline)

    @staticmethod
    def _committed(producer: Producer) -> bool:
        try:
            producer.commit_transaction(_LOOK_S)
        except KafkaException as error:
            if error.args[0].code() != KafkaError._TIMED_OUT:
                raise
            return False  # the next call waits for the same commit
        return True

    def _go_on(self, deadline: float) -> None:
        if self._abandoned.is_set():
            raise KafkaException(KafkaError(KafkaError._STATE, "the broker began another life"))
        if time.monotonic() > deadline:
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))

    def _drop(self) -> None:
        if self._producer is not None:
            self._producer.purge()
            self._producer = None


def with_key_sequence(envelope: bytes, sequence: int) -> bytes:
    """An encoded Event with its key_sequence set.

    The number is known only inside the publishing statement. Appending a field to an encoded message
    sets it, because fields may come in any order and the last value counts.

    Source: https://protobuf.dev/programming-guides/encoding/#order
    """
    encoded = bytearray(_KEY_SEQUENCE_TAG)
    while sequence > 0x7F:
        encoded.append(sequence & 0x7F | 0x80)
        sequence >>= 7
    encoded.append(sequence)
    return envelope + bytes(encoded)
