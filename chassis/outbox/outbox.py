"""The transactional outbox: events are rows of the transaction that makes them true."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime

from google.protobuf.message import Message

from chassis import context
from chassis.clock import Clock, SystemClock
from chassis.database import Transaction
from chassis.errors import InvalidArgument
from chassis.ids import IdSource, SystemIds
from greenledger.events.v1.event_pb2 import Event

EVENT_ID = "event-id"
EVENT_TYPE = "event-type"
KEY_SEQUENCE = "key-seq"
TRACEPARENT = "traceparent"
PRODUCER = "producer"

_PUBLISH = "SELECT outbox_publish($1::uuid[], $2::text[], $3::text[], $4::jsonb[], $5::bytea[])"
_PUBLISH_ONE = "SELECT outbox_publish_one($1, $2, $3, $4, $5)"
MAX_EVENT_BYTES = 1_000_000
# What the record gets on its way: its sequence as field and as header, and the framing of record and batch.
_FRAMING_BYTES = 512


@dataclass(frozen=True, slots=True)
class Publication:
    """One event to publish.

    Args:
        topic: `<context>.<fact>`, also the event's type.
        key: id of the aggregate; events of one topic and key are delivered in order.
        payload: the fact, a message of `<context>/v1/events.proto`.
        aggregate_type: what the key identifies, e.g. "order".
        schema_version: of the payload's meaning; default 1.
        occurred_time: when it happened; default now.
        event_id: UUIDv7 of the stored fact that it tells, so that both are known by one id; of no other
            publication. Default a new one.
    """

    topic: str
    key: str
    payload: Message
    aggregate_type: str
    schema_version: int = 1
    occurred_time: datetime | None = None
    event_id: str | None = None


class Outbox:
    """Publishes events in the caller's transaction.

    Two transactions that publish for the same keys in several calls and in different order may
    deadlock; one of them then fails with Aborted and can be repeated. One call sorts its keys.

    Args:
        producer: the service's name; goes into every event.
        ids: makes event ids; default random UUIDv7.
        clock: default the system's.
        on_commit: called after each commit that published something, e.g. `relay.wake`; default nothing.
        max_event_bytes: the largest record that the broker takes; default 1,000,000, as librdkafka.
    """

    def __init__(
        self,
        producer: str,
        ids: IdSource | None = None,
        clock: Clock | None = None,
        on_commit: Callable[[], object] | None = None,
        max_event_bytes: int = MAX_EVENT_BYTES,
    ) -> None:
        self._producer = producer
        self._max_event_bytes = max_event_bytes
        self._ids = ids or SystemIds()
        self._clock = clock or SystemClock()
        self._on_commit = on_commit

    async def publish(self, tx: Transaction, publications: Sequence[Publication]) -> list[str]:
        """Record events; they leave for the broker once the transaction has committed.

        Actor, correlation, causation and trace come from `chassis.context`.

        Args:
            tx: the transaction of the change that the events tell of.
            publications: in the order in which they shall be seen; may be empty.

        Returns:
            The ids of the events.

        Raises:
            ValueError: a topic or key is empty.
            InvalidArgument: an event is larger than the broker takes. It would stop the relay for ever, so
                it is refused while the transaction can still be undone.
            Aborted: deadlock with another transaction; repeat the whole transaction.
        """
        if not publications:
            return []
        events = [self._envelope(publication) for publication in publications]
        rows = [_row(event) for event in events]
        for event, (*_, headers, envelope) in zip(events, rows, strict=True):
            self._refuse_when_too_large(event, len(envelope) + len(headers))
        if len(rows) == 1:
            await tx.execute(_PUBLISH_ONE, *rows[0])
        else:
            await tx.execute(_PUBLISH, *map(list, zip(*rows, strict=True)))
        if self._on_commit is not None:
            tx.on_commit(self._on_commit)
        return [event.event_id for event in events]

    def _envelope(self, publication: Publication) -> Event:
        if not publication.topic or not publication.key:
            raise ValueError("an event needs a topic and a key")
        now, cause = self._clock.now(), context.current()
        event_id = publication.event_id or self._ids.uuid7()
        event = Event(
            event_id=event_id,
            type=publication.topic,
            schema_version=publication.schema_version,
            aggregate_type=publication.aggregate_type,
            aggregate_id=publication.key,
            actor=cause.principal.subject if cause.principal else self._producer,
            correlation_id=cause.correlation_id or cause.request_id or event_id,
            causation_id=cause.causation_id or cause.request_id,
            traceparent=cause.traceparent or "",
            producer=self._producer,
        )
        event.occurred_time.FromDatetime(publication.occurred_time or now)
        event.recorded_time.FromDatetime(now)
        event.payload.Pack(publication.payload)
        return event

    def _refuse_when_too_large(self, event: Event, size: int) -> None:
        size += len(event.aggregate_id.encode()) + _FRAMING_BYTES
        if size > self._max_event_bytes:
            raise InvalidArgument(
                "EVENT_TOO_LARGE",
                f"An event of {event.type} would have {size} bytes, the limit is {self._max_event_bytes}.",
                metadata={
                    "topic": event.type,
                    "key": event.aggregate_id,
                    "bytes": str(size),
                    "limit": str(self._max_event_bytes),
                },
            )


def _row(event: Event) -> tuple[str, str, str, str, bytes]:
    encoded = event.SerializeToString(deterministic=True)
    return event.event_id, event.type, event.aggregate_id, _headers(event), encoded


def _headers(event: Event) -> str:
    headers = {EVENT_ID: event.event_id, EVENT_TYPE: event.type, PRODUCER: event.producer}
    if event.traceparent:
        headers[TRACEPARENT] = event.traceparent
    return json.dumps(headers)
