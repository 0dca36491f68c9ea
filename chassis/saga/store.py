"""Instances in PostgreSQL."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

import asyncpg

from chassis.clock import Clock
from chassis.database import Database, Transaction
from chassis.saga import sql
from chassis.saga.definition import Direction, Failure, Saga
from chassis.saga.encoding import encode_object
from chassis.saga.instance import Instance, Move, State, StepRecord, StepState


class LeaseLost(Exception):
    """Another engine or an operator took the instance over, or the last commit took effect unnoticed."""


class Queries(Protocol):
    """What both a database and a transaction offer."""

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]: ...

    async def fetchval(self, sql: str, *args: object) -> Any: ...


class SagaStore:
    """Reads and guarded writes of the tables in `schema.py`.

    Args:
        db: the service's database.
        clock: for the times that people read; leases run on the database's clock.
        owner: name of the engine that holds the leases.
        lease: how long a claim lasts without renewal.
        hidden: by definition (name, version), keys of the data that are dropped when an instance ends;
            default none.
    """

    def __init__(
        self,
        db: Database,
        clock: Clock,
        owner: str,
        lease: timedelta = timedelta(seconds=5),
        hidden: Mapping[tuple[str, int], Collection[str]] | None = None,
    ) -> None:
        self._db = db
        self._clock = clock
        self._owner = owner
        self._lease = lease
        self._hidden = hidden or {}

    async def start(
        self, tx: Transaction, saga: Saga, instance: Instance, first: StepRecord | None, *, held: bool
    ) -> bool:
        """Insert an instance; False when the id is taken already.

        Args:
            first: the announced first step; None when it is local or nobody works on it yet.
            held: whether this engine takes the lease at once.
        """
        inserted = await tx.fetchval(
            sql.START,
            instance.saga_id,
            saga.name,
            saga.version,
            saga.shape,
            encode_object(instance.data),
            json.dumps(instance.context),
            self._owner if held else None,
            self._lease,
            instance.deadline_at,
            instance.created_at,
            first.step if first else None,
            first.idempotency_key if first else None,
        )
        return bool(inserted)

    async def move(self, on: Queries, instance: Instance, move: Move, *, bump: bool = False) -> None:
        """Write a move; the caller applies it to the instance once it is committed.

        Args:
            on: the database for a transaction of its own, or the transaction to join.
            bump: raise the epoch, so that whoever holds the lease loses it.

        Raises:
            LeaseLost: the instance is no longer ours; nothing was written.
        """
        written = await on.fetchval(
            sql.MOVE,
            instance.saga_id,
            instance.epoch,
            instance.revision,
            move.state.value,
            move.step,
            move.turned_back,
            None if move.failure is None else _failure_text(move.failure),
            move.reply,
            move.delay,
            move.held,
            self._lease,
            int(bump),
            self._clock.now(),
            *_columns(move.records),
            sorted(self._hidden.get((instance.name, instance.version), ())) if move.state.final else [],
        )
        if not written:
            raise LeaseLost(instance.saga_id)

    async def claim(self, sagas: Iterable[Saga], limit: int) -> list[Instance]:
        """Take the lease of due instances that nobody holds, the longest due first."""
        known = [(saga.name, saga.version) for saga in sagas]
        rows = await self._db.fetch(
            sql.CLAIM, self._owner, self._lease, [n for n, _ in known], [v for _, v in known], limit
        )
        return await self._with_steps(self._db, rows)

    async def renew(self, instances: Iterable[Instance]) -> set[str]:
        """Prolong leases; returns the ids of the instances that are still ours."""
        held = [(instance.saga_id, instance.epoch) for instance in instances]
        rows = await self._db.fetch(
            sql.RENEW, self._owner, self._lease, [i for i, _ in held], [e for _, e in held]
        )
        return {row["saga_id"] for row in rows}

    async def release(self, instances: Iterable[Instance]) -> None:
        """Give leases back, so that another engine need not wait for their end."""
        held = [(instance.saga_id, instance.epoch) for instance in instances]
        await self._db.execute(sql.RELEASE, self._owner, [i for i, _ in held], [e for _, e in held])

    async def get(self, saga_id: str, on: Queries | None = None, *, lock: bool = False) -> Instance | None:
        """One instance with its steps, or None; `lock` keeps it until the transaction ends."""
        queries = on or self._db
        suffix = " FOR UPDATE" if lock else ""
        rows = await queries.fetch(f"SELECT * FROM saga WHERE saga_id = $1{suffix}", saga_id)
        return next(iter(await self._with_steps(queries, rows)), None)

    async def page(
        self, state: State | None, name: str | None, before: str | None, limit: int
    ) -> list[Instance]:
        """Instances without their steps, by descending id, starting under `before`."""
        rows = await self._db.fetch(sql.LIST, state, name, before, limit)
        return [_instance(row) for row in rows]

    async def unfinished(self) -> Sequence[tuple[str, int, str, int]]:
        """(name, version, shape, instances) of everything that has not ended."""
        return [tuple(row) for row in await self._db.fetch(sql.UNFINISHED)]

    async def stuck_counts(self) -> Mapping[str, int]:
        """Stuck instances by saga."""
        return {row["name"]: row["instances"] for row in await self._db.fetch(sql.STUCK_COUNTS)}

    async def purge(self, ended_before: datetime, limit: int = 1000) -> int:
        """Delete instances that ended before an instant, at most `limit`; returns how many."""
        tag = await self._db.execute(sql.PURGE, ended_before, limit)
        return int(tag.rpartition(" ")[2])

    async def _with_steps(self, queries: Queries, rows: Sequence[asyncpg.Record]) -> list[Instance]:
        instances = {row["saga_id"]: _instance(row) for row in rows}
        if instances:
            statement = "SELECT * FROM saga_step WHERE saga_id = ANY($1::text[]) ORDER BY started_at"
            for row in await queries.fetch(statement, list(instances)):
                record = _record(row)
                instances[row["saga_id"]].records[record.step, record.direction] = record
        return list(instances.values())


def _columns(records: Sequence[StepRecord]) -> tuple[list[Any], ...]:
    return (
        [r.step for r in records],
        [r.direction.value for r in records],
        [r.state.value for r in records],
        [r.attempts for r in records],
        [r.idempotency_key for r in records],
        [r.started_at for r in records],
        [r.finished_at for r in records],
        [None if r.error is None else json.dumps(r.error) for r in records],
        [r.reply for r in records],
    )


def _failure_text(failure: Failure) -> str:
    facts = {
        "step": failure.step,
        "reason": failure.reason,
        "message": failure.message,
        "metadata": dict(failure.metadata),
    }
    return json.dumps(facts)


def _instance(row: asyncpg.Record) -> Instance:
    failure = json.loads(row["failure"]) if row["failure"] else None
    return Instance(
        saga_id=row["saga_id"],
        name=row["name"],
        version=row["version"],
        state=State(row["state"]),
        step=row["step"],
        turned_back=row["turned_back"],
        data=json.loads(row["data"]),
        failure=Failure(**failure) if failure else None,
        context=json.loads(row["context"]),
        epoch=row["epoch"],
        revision=row["revision"],
        deadline_at=row["deadline_at"],
        created_at=row["created_at"],
        due_at=row["due_at"],
        updated_at=row["updated_at"],
        lease_owner=row["lease_owner"],
    )


def _record(row: asyncpg.Record) -> StepRecord:
    return StepRecord(
        step=row["step"],
        direction=Direction(row["direction"]),
        state=StepState(row["state"]),
        attempts=row["attempts"],
        idempotency_key=row["idempotency_key"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        error=json.loads(row["error"]) if row["error"] else None,
        reply=row["reply"],
    )
