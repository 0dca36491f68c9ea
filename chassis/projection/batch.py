"""One step of a projection: events in, rows and checkpoint out, in the caller's transaction."""

from chassis.crashpoints import crashpoint
from chassis.database import Transaction
from chassis.eventstore import EventStore
from chassis.projection import checkpoint
from chassis.projection.checkpoint import Checkpoint
from chassis.projection.definition import Projection, Tables


async def apply_batch(
    tx: Transaction,
    store: EventStore,
    projection: Projection,
    at: Checkpoint,
    *,
    tables: Tables,
    until: int,
) -> tuple[int, int]:
    """Apply at most a batch of the events up to `until` and move the checkpoint.

    Returns:
        How many events, and the position reached; `until` is reached when there were fewer than a batch.
    """
    events = await store.read_range(at.position, until, projection.batch_size)
    if events:
        await projection.apply(events, tables, tx)
    crashpoint("projection.applied")
    position = events[-1].position if len(events) == projection.batch_size else until
    await checkpoint.advance(tx, projection, at.version, position)
    crashpoint("projection.checkpointed")
    return len(events), position


async def apply_all(
    tx: Transaction,
    store: EventStore,
    projection: Projection,
    at: Checkpoint,
    *,
    tables: Tables,
    until: int,
) -> int:
    """Apply every event up to `until` in this one transaction; returns how many."""
    total, position = 0, at.position
    while position < until:
        here = Checkpoint(at.version, at.status, at.logic_version, position)
        count, position = await apply_batch(tx, store, projection, here, tables=tables, until=until)
        total += count
    return total
