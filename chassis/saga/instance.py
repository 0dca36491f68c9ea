"""An instance of a saga in memory, and a move: one guarded write that brings it further."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from chassis.saga.definition import Direction, Failure, Saga


class State(StrEnum):
    """Where an instance stands. STUCK waits for an operator; COMPLETED and COMPENSATED are final."""

    RUNNING = "RUNNING"
    COMPENSATING = "COMPENSATING"
    COMPLETED = "COMPLETED"
    COMPENSATED = "COMPENSATED"
    STUCK = "STUCK"

    @property
    def final(self) -> bool:
        return self in (State.COMPLETED, State.COMPENSATED)

    @property
    def active(self) -> bool:
        """Whether an engine should be working on it."""
        return self in (State.RUNNING, State.COMPENSATING)


class StepState(StrEnum):
    """What is known of a step in one direction.

    FAILED had no effect, of UNKNOWN nobody knows; WAITING is between two attempts.
    """

    STARTED = "STARTED"
    WAITING = "WAITING"
    SUCCEEDED = "SUCCEEDED"
    REFUSED = "REFUSED"
    FAILED = "FAILED"
    UNKNOWN = "UNKNOWN"
    SKIPPED = "SKIPPED"


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A row of `saga_step`.

    Args:
        error: of the last attempt: reason, message, metadata and, for operators only, detail.
        reply: JSON text of the step's reply.
    """

    step: str
    direction: Direction
    state: StepState
    attempts: int
    idempotency_key: str
    started_at: datetime
    finished_at: datetime | None = None
    error: Mapping[str, Any] | None = None
    reply: str | None = None


Records = dict[tuple[str, Direction], StepRecord]


@dataclass(frozen=True, slots=True)
class Move:
    """What one write changes.

    Args:
        delay: when the instance is due again, from now by the database's clock; None leaves it as it is.
        held: whether the engine keeps its lease.
        armed: whether `records` already announce the next attempt, which may then begin at once.
    """

    state: State
    step: int
    turned_back: bool
    records: tuple[StepRecord, ...] = ()
    failure: Failure | None = None
    reply: str | None = None
    delay: timedelta | None = None
    held: bool = True
    armed: bool = False


def merged(moves: Sequence[Move]) -> Move:
    """Several moves in a row as one write."""
    if len(moves) == 1:
        return moves[0]
    replies = [json.loads(move.reply) for move in moves if move.reply is not None]
    return replace(
        moves[-1],
        records=tuple(record for move in moves for record in move.records),
        failure=next((move.failure for move in moves if move.failure is not None), None),
        reply=json.dumps({k: v for reply in replies for k, v in reply.items()}) if replies else None,
    )


@dataclass(slots=True)
class Instance:
    """A row of `saga` with its steps, as the engine that holds the lease knows it."""

    saga_id: str
    name: str
    version: int
    state: State
    step: int
    turned_back: bool
    data: dict[str, Any]
    failure: Failure | None
    context: Mapping[str, Any]
    epoch: int
    revision: int
    deadline_at: datetime
    created_at: datetime
    due_at: datetime
    updated_at: datetime
    lease_owner: str | None = None
    records: Records = field(default_factory=dict)
    armed: bool = False
    held: bool = True

    def apply(self, move: Move) -> None:
        """Follow a move that is in the database."""
        self.state, self.step, self.turned_back = move.state, move.step, move.turned_back
        self.failure = self.failure or move.failure
        self.armed, self.held = move.armed, move.held
        self.revision += 1
        for record in move.records:
            self.records[record.step, record.direction] = record
        if move.reply is not None:
            # Decoded from the stored text, so that a step sees the same before and after a crash.
            self.data = self.data | json.loads(move.reply)


def new_instance(
    saga: Saga, saga_id: str, data: Mapping[str, Any], context: Mapping[str, Any], now: datetime
) -> Instance:
    """An instance before its first step, as the store inserts it."""
    return Instance(
        saga_id=saga_id,
        name=saga.name,
        version=saga.version,
        state=State.RUNNING,
        step=0,
        turned_back=False,
        data=dict(data),
        failure=None,
        context=context,
        epoch=1,
        revision=0,
        deadline_at=now + saga.deadline,
        created_at=now,
        due_at=now,
        updated_at=now,
    )
