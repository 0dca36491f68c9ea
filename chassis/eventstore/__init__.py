"""Event store: append with optimistic concurrency, read in order, snapshots, upcasting."""

from chassis.eventstore.events import (
    ConcurrencyError,
    EventPage,
    NewEvent,
    RecordedEvent,
    Snapshot,
    StreamAppend,
)
from chassis.eventstore.repository import Aggregate, Loaded, Repository, SnapshotCodec
from chassis.eventstore.store import EventStore
from chassis.eventstore.upcasting import UnknownSchemaVersionError, Upcasters

__all__ = [
    "Aggregate",
    "ConcurrencyError",
    "EventPage",
    "EventStore",
    "Loaded",
    "NewEvent",
    "RecordedEvent",
    "Repository",
    "Snapshot",
    "SnapshotCodec",
    "StreamAppend",
    "UnknownSchemaVersionError",
    "Upcasters",
]
