"""The rows that say how far each version of a projection is."""

from dataclasses import dataclass
from datetime import datetime

from chassis.database import Database, Transaction
from chassis.eventstore import EventStore
from chassis.projection.definition import Projection


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """One version of a projection, its row locked until the transaction ends."""

    version: int
    status: str
    logic_version: int
    position: int


@dataclass(frozen=True, slots=True)
class ProjectionStatus:
    """What an operator sees of one version.

    Args:
        lag: positions between it and the head of the store; gaps count until they are passed.
        last_error: why the last attempt failed; None when it did not.
    """

    name: str
    version: int
    status: str
    logic_version: int
    position: int
    lag: int
    last_error: str | None
    updated_at: datetime


_LOCK = """
SELECT version, status, logic_version, position FROM projection WHERE name = $1 AND (status = 'live') = $2
FOR UPDATE
"""


async def ensure_live(database: Database, projection: Projection) -> None:
    """Make the first checkpoint of a projection that has none."""
    await database.execute(
        """
        INSERT INTO projection (name, version, status, logic_version, position) VALUES ($1, 1, 'live', $2, 0)
        ON CONFLICT DO NOTHING
        """,
        projection.name,
        projection.logic_version,
    )


async def lock(
    tx: Transaction, projection: Projection, *, live: bool, wait: bool = True
) -> Checkpoint | None:
    """The checkpoint of the live version, or of the one being built; None when there is none.

    Args:
        wait: False gives None when another replica holds it; default True.
    """
    statement = _LOCK if wait else _LOCK + " SKIP LOCKED"
    row = await tx.fetchrow(statement, projection.name, live)
    return None if row is None else Checkpoint(**dict(row))


async def advance(tx: Transaction, projection: Projection, version: int, position: int) -> None:
    """Move a checkpoint; in the transaction of the read model."""
    await tx.execute(
        """
        UPDATE projection SET position = $3, last_error = NULL, updated_at = now()
        WHERE name = $1 AND version = $2
        """,
        projection.name,
        version,
        position,
    )


async def record_error(
    database: Database, projection: Projection, error: Exception, *, live: bool = True
) -> None:
    """Say why the live version, or the one being built, does not move."""
    await database.execute(
        """
        UPDATE projection SET last_error = $2, updated_at = now()
        WHERE name = $1 AND (status = 'live') = $3
        """,
        projection.name,
        f"{type(error).__name__}: {error}"[:1000],
        live,
    )


async def statuses(database: Database, store: EventStore, name: str | None = None) -> list[ProjectionStatus]:
    """Every version of every projection in this database, or of one."""
    rows = await database.fetch(
        """
        SELECT name, version, status, logic_version, position, last_error, updated_at FROM projection
        WHERE $1::text IS NULL OR name = $1 ORDER BY name, version
        """,
        name,
    )
    head = await store.head()
    return [ProjectionStatus(lag=max(0, head - row["position"]), **dict(row)) for row in rows]
