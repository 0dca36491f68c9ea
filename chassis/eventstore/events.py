"""What goes into the event store and what comes out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from chassis.errors import Aborted


@dataclass(frozen=True, slots=True)
class NewEvent:
    """A fact to append.

    Args:
        type: stable name, such as `lot.minted`.
        schema_version: version of the shape of `data`, from 1.
        data: the fact, JSON types only (decimals and times as text).
        meta: about the fact; the store adds the request context (correlation, causation, actor).
        event_id: UUIDv7 text; default None, the store makes one.
    """

    type: str
    schema_version: int
    data: Mapping[str, Any]
    meta: Mapping[str, Any] = field(default_factory=dict)
    event_id: str | None = None


@dataclass(frozen=True, slots=True)
class RecordedEvent:
    """A fact as stored; when read through the store, `data` has the newest schema version.

    Args:
        position: place in the order of the whole store, from 1, with gaps.
        version: place in its stream, from 1, without gaps.
        recorded_at: when it was stored, aware UTC.
    """

    position: int
    stream_id: str
    version: int
    type: str
    schema_version: int
    data: dict[str, Any]
    meta: dict[str, Any]
    event_id: str
    recorded_at: datetime


@dataclass(frozen=True, slots=True)
class Snapshot:
    """State of a stream after `version` events, in the shape `schema_version`."""

    stream_id: str
    version: int
    schema_version: int
    state: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StreamAppend:
    """Events for one stream, as a part of a batch over many."""

    stream_id: str
    expected_version: int
    events: tuple[NewEvent, ...]


@dataclass(frozen=True, slots=True)
class EventPage:
    """Events in order, and the position that a reader has reached with them (beyond gaps)."""

    events: list[RecordedEvent]
    position: int


class ConcurrencyError(Aborted):
    """The stream is not at the expected version: somebody else appended, or it is not that far yet.

    Load again, decide again, append again. Inside a transaction the whole transaction is lost.
    """

    def __init__(self, stream_id: str | None = None, expected_version: int | None = None) -> None:
        facts = {"stream": stream_id, "expected_version": expected_version}
        super().__init__(
            "CONCURRENT_CHANGE",
            "The resource was changed meanwhile; read it again and repeat.",
            metadata={name: str(fact) for name, fact in facts.items() if fact is not None},
        )
