"""What a consumer receives: raw records, and the events that handlers see."""

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Generic, NamedTuple, TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp

from chassis.context import RequestContext
from chassis.database import Transaction
from chassis.inbox.progress import PartitionProgress
from chassis.outbox.outbox import EVENT_ID, KEY_SEQUENCE, PRODUCER
from greenledger.events.v1.event_pb2 import Event

P = TypeVar("P", bound=Message)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class ReceivedEvent(NamedTuple, Generic[P]):
    """One event: the envelope's fields and its payload.

    A tuple, because every event makes one, and a frozen dataclass takes six times as long to make.
    """

    event_id: str
    type: str
    schema_version: int
    aggregate_type: str
    aggregate_id: str
    key_sequence: int
    occurred_time: datetime
    recorded_time: datetime
    actor: str
    correlation_id: str
    causation_id: str
    traceparent: str
    producer: str
    payload: P

    def context(self) -> RequestContext:
        """The context for what follows from this event: same correlation, caused by it."""
        return RequestContext("", self.correlation_id, self.event_id, None, self.traceparent or None)


Handler = Callable[[ReceivedEvent[P], Transaction], Awaitable[None]]
BatchHandler = Callable[[Sequence[ReceivedEvent[P]], Transaction], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Subscription(Generic[P]):
    """What a consumer does with the events of one topic.

    Effects must lie in the given transaction, then each event takes effect exactly once. A call to
    another service is not in it: it may be repeated and needs an idempotency key (the event id).

    Args:
        topic: the topic.
        payload_type: message class of the payload; an event with another one is parked.
        handler: applies one event, with `event.context()` in force.
        batch_handler: applies many, in the order given, in few statements; several events of one key may
            be among them. When it fails they are applied one at a time, by `handler` if there is one.

    Raises:
        ValueError: neither handler is given.
    """

    topic: str
    payload_type: type[P]
    handler: Handler[P] | None = None
    batch_handler: BatchHandler[P] | None = None

    def __post_init__(self) -> None:
        if self.handler is None and self.batch_handler is None:
            raise ValueError(f"the subscription to {self.topic} has no handler")


class KeyId(NamedTuple):
    """Whose sequence an event belongs to."""

    topic: str
    key: str
    source: str


RawHeaders = Sequence[tuple[str, bytes | str | None]]


class Record(NamedTuple):
    """A record as the broker or the parking lot keeps it; `raw_headers` may be what reads them."""

    topic: str
    key: str
    value: bytes
    raw_headers: RawHeaders | Callable[[], RawHeaders] = ()

    @property
    def headers(self) -> Mapping[str, str]:
        """Headers as text; read on demand, since a healthy record says the same in its envelope."""
        raw = self.raw_headers() if callable(self.raw_headers) else self.raw_headers
        return {name: as_text(content) for name, content in raw}


@dataclass(slots=True, eq=False)
class Delivery:
    """One arrival of one record, decoded as far as possible.

    Args:
        key_id: whose sequence.
        sequence: its place there, from 1; 0 when the record names none.
        event_id: from the envelope or the header; for a foreign record made from its bytes.
        record: the bytes, for the parking lot.
        event: what the handler gets; None when it cannot be decoded.
        defect: why not; empty otherwise.
        progress: the partition's pass that it arrived in; None for a replay.
        offset: its place in the partition.
    """

    key_id: KeyId
    sequence: int
    event_id: str
    record: Record
    event: ReceivedEvent[Any] | None
    defect: str = ""
    progress: PartitionProgress | None = None
    offset: int = -1


def decode(record: Record, payload_type: type[Message]) -> Delivery:
    """Read a record; a defect is noted, not raised, because it must be parked in its place."""
    event, defect = None, ""
    envelope = Event()
    try:
        envelope.ParseFromString(record.value)
    except DecodeError:
        defect = "The record is not an event envelope."
        envelope.Clear()
    else:
        event, defect = _event(envelope, payload_type)
    # The same facts are in the headers, so that even a broken envelope blocks only its own key.
    sequence, event_id, source = envelope.key_sequence, envelope.event_id, envelope.producer
    if not (sequence and event_id and source):
        headers = record.headers
        sequence = sequence or _number(headers.get(KEY_SEQUENCE, ""))
        event_id = event_id or headers.get(EVENT_ID) or _fingerprint(record)
        source = source or headers.get(PRODUCER, "")
    if sequence < 1:
        event, defect = None, defect or "The record has no key sequence."
    return Delivery(
        KeyId(record.topic, record.key, source), max(sequence, 0), event_id, record, event, defect
    )


def _event(envelope: Event, payload_type: type[Message]) -> tuple[ReceivedEvent[Any] | None, str]:
    # What `Any.Unpack` does, without its detours: this is a third of the cost of an event.
    packed = envelope.payload
    found, wanted = packed.type_url.rpartition("/")[2], payload_type.DESCRIPTOR.full_name
    if found != wanted:
        return None, f"The payload is {found or 'nothing'}, expected {wanted}."
    payload = payload_type()
    try:
        payload.ParseFromString(packed.value)
    except DecodeError:
        return None, f"The payload is no valid {wanted}."
    event_id = envelope.event_id
    return ReceivedEvent(
        event_id,
        envelope.type,
        envelope.schema_version,
        envelope.aggregate_type,
        envelope.aggregate_id,
        envelope.key_sequence,
        _time(envelope.occurred_time),
        _time(envelope.recorded_time),
        envelope.actor,
        envelope.correlation_id or event_id,
        envelope.causation_id,
        envelope.traceparent,
        envelope.producer,
        payload,
    ), ""


def as_text(content: bytes | str | None) -> str:
    """A key or header of a record, as far as PostgreSQL can hold it: it has no NUL."""
    text = content.decode(errors="replace") if isinstance(content, bytes) else content or ""
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _time(timestamp: Timestamp) -> datetime:
    # A fifth of the cost of Timestamp.ToDatetime, which shows at 10,000 events a second.
    return _EPOCH + timedelta(0, timestamp.seconds, timestamp.nanos // 1000)


def _number(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0


def _fingerprint(record: Record) -> str:
    return "sha256:" + hashlib.sha256(record.value).hexdigest()[:32]
