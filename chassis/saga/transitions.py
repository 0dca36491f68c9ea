"""The rules of a saga as pure functions: instance and outcome in, next move out."""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from chassis.saga.definition import Direction, Failure, Retry, Saga, Step, idempotency_key
from chassis.saga.instance import Instance, Move, Records, State, StepRecord, StepState
from chassis.saga.outcomes import Faulted, Outcome, Refused, Succeeded

ON_FAILED = -1
_MAY_HAVE_EFFECT = (StepState.SUCCEEDED, StepState.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Task:
    """The call that is due."""

    step: Step
    direction: Direction
    retry: Retry


def task_of(saga: Saga, instance: Instance) -> Task:
    """The call that an active or stuck instance needs next."""
    return _task_at(saga, instance.step, turned_back=instance.turned_back)


@dataclass(frozen=True, slots=True)
class Course:
    """What may happen to an instance at one moment; every method gives a move and changes nothing.

    Args:
        saga: the instance's definition.
        instance: as it is in the database.
        now: the moment.
        hold: whether the engine means to go on with the next step.
    """

    saga: Saga
    instance: Instance
    now: datetime
    hold: bool = True

    @property
    def expired(self) -> bool:
        """Whether the deadline passed before the pivot began."""
        return self.now >= self.instance.deadline_at and self._deadline_counts()

    @property
    def interrupted_for_good(self) -> bool:
        """Whether an engine died during the last attempt that the step's retry allows."""
        task, record = self._task, self._previous
        if record is None or record.state is not StepState.STARTED or self.instance.armed:
            return False
        return task.retry.exhausted(record.attempts)

    def begin(self) -> Move:
        """Announce an attempt of a remote step, before its side effect."""
        return self._stay(self._announcement(self.instance.step, self.instance.turned_back), armed=True)

    def settle(self, outcome: Outcome, started: datetime, rng: random.Random) -> Move:
        """The move that follows from the outcome of the attempt that began at `started`."""
        if isinstance(outcome, Succeeded):
            record = replace(self._record(StepState.SUCCEEDED, started), error=None, reply=outcome.reply)
            return self.advance(record)
        if isinstance(outcome, Refused):
            return self._refused(outcome, started)
        return self._faulted(outcome, started, rng)

    def advance(self, record: StepRecord) -> Move:
        """Go on to what follows the step in hand, which is done as `record` says."""
        instance, saga = self.instance, self.saga
        if instance.turned_back and instance.step == ON_FAILED:
            return Move(State.COMPENSATED, ON_FAILED, True, (record,), reply=record.reply, held=False)
        if instance.turned_back:
            return self._backward(instance.step, (record,))
        following = instance.step + 1
        if following == len(saga.steps):
            return Move(State.COMPLETED, following, False, (record,), reply=record.reply, held=False)
        if self.now >= instance.deadline_at and following <= saga.pivot:
            return self._backward(following, (record,), _out_of_time(saga.steps[following].name))
        return self._armed(
            Move(State.RUNNING, following, False, (record,), reply=record.reply, held=self.hold)
        )

    def time_out(self) -> Move:
        """Turn back because the deadline passed."""
        return self.turn_back(_out_of_time(self._task.step.name))

    def turn_back(self, failure: Failure) -> Move:
        """Begin the compensation; the step in hand is included if it may have taken effect."""
        previous = self._previous
        records: tuple[StepRecord, ...] = ()
        if previous is not None and previous.state in (StepState.STARTED, StepState.WAITING):
            records = (replace(previous, state=self._state_of_doubt(), finished_at=self.now),)
        return self._backward(self.instance.step + 1, records, failure)

    def _refused(self, refusal: Refused, started: datetime) -> Move:
        error = {"reason": refusal.reason, "message": refusal.message, "metadata": dict(refusal.metadata)}
        record = replace(self._record(StepState.REFUSED, started), error=error)
        if self.instance.turned_back or self.instance.step > self.saga.pivot:
            # It cannot be taken back, and asking again would bring the same answer.
            return self._stuck(record)
        failure = Failure(record.step, refusal.reason, refusal.message, refusal.metadata)
        step = self._task.step
        if record.attempts > 1 and not step.local and step.undo is not None:
            # This attempt did nothing, but an earlier one may have; an undo of nothing costs little.
            doubtful = replace(record, state=StepState.UNKNOWN)
            return self._backward(self.instance.step + 1, (doubtful,), failure)
        return self._backward(self.instance.step, (record,), failure)

    def _faulted(self, fault: Faulted, started: datetime, rng: random.Random) -> Move:
        instance, task = self.instance, self._task
        waiting = replace(self._record(StepState.WAITING, started), error=_error(fault))
        given_up = replace(waiting, state=self._state_of_doubt())
        delay = max(task.retry.delay(waiting.attempts, rng), fault.retry_after or timedelta(0))
        before_pivot = not instance.turned_back and instance.step < self.saga.pivot
        if before_pivot and self.now + delay >= instance.deadline_at:
            return self._backward(instance.step + 1, (given_up,), _out_of_time(task.step.name))
        if not task.retry.exhausted(waiting.attempts):
            return replace(self._stay(waiting), delay=delay, held=False)
        at_pivot = not instance.turned_back and instance.step == self.saga.pivot
        if before_pivot or (at_pivot and (task.step.local or task.step.undo is not None)):
            failure = Failure(task.step.name, fault.reason, fault.message, fault.metadata)
            return self._backward(instance.step + 1, (given_up,), failure)
        return self._stuck(given_up)

    def _backward(self, below: int, records: tuple[StepRecord, ...], failure: Failure | None = None) -> Move:
        """Go to the nearest step under `below` that needs its undo, then to on_failed, then to the end."""
        known = self.instance.records | {(r.step, r.direction): r for r in records}
        steps = self.saga.steps
        position = next((i for i in range(below - 1, -1, -1) if _needs_undo(steps[i], known)), ON_FAILED)
        # The reply of a step that went forward until now belongs into the data that its undo sees.
        reply = records[0].reply if records else None
        move = Move(State.COMPENSATING, position, True, records, failure, reply, held=self.hold)
        if position == ON_FAILED and self.saga.on_failed is None:
            return replace(move, state=State.COMPENSATED, held=False)
        return self._armed(move)

    def _armed(self, move: Move) -> Move:
        """Fuse the announcement of the next attempt into the move: a remote step then costs one write."""
        if not move.held or _task_at(self.saga, move.step, turned_back=move.turned_back).step.local:
            return move
        announcement = self._announcement(move.step, move.turned_back)
        return replace(move, records=(*move.records, announcement), armed=True)

    def _stuck(self, record: StepRecord) -> Move:
        return replace(self._stay(record), state=State.STUCK, held=False)

    def _stay(self, record: StepRecord, *, armed: bool = False) -> Move:
        instance = self.instance
        return Move(instance.state, instance.step, instance.turned_back, (record,), armed=armed)

    def _announcement(self, position: int, turned_back: bool) -> StepRecord:
        task = _task_at(self.saga, position, turned_back=turned_back)
        previous = self.instance.records.get((task.step.name, task.direction))
        attempts = (previous.attempts if previous else 0) + 1
        key = idempotency_key(self.instance.saga_id, task.step.name, task.direction)
        return StepRecord(task.step.name, task.direction, StepState.STARTED, attempts, key, self.now)

    def _record(self, state: StepState, started: datetime) -> StepRecord:
        """The finished attempt; one of a local step was not announced, so it is counted here."""
        task, previous = self._task, self._previous
        attempts = (previous.attempts if previous else 0) + (not self.instance.armed)
        key = idempotency_key(self.instance.saga_id, task.step.name, task.direction)
        return StepRecord(task.step.name, task.direction, state, attempts, key, started, self.now)

    def _state_of_doubt(self) -> StepState:
        # The transaction of a local step was rolled back; of a remote one nobody knows.
        return StepState.FAILED if self._task.step.local else StepState.UNKNOWN

    @property
    def _task(self) -> Task:
        return task_of(self.saga, self.instance)

    @property
    def _previous(self) -> StepRecord | None:
        return self.instance.records.get((self._task.step.name, self._task.direction))

    def _deadline_counts(self) -> bool:
        instance, pivot = self.instance, self.saga.pivot
        if instance.turned_back or instance.step > pivot:
            return False
        return instance.step < pivot or self._previous is None


def _task_at(saga: Saga, position: int, *, turned_back: bool) -> Task:
    if position != ON_FAILED:
        step, direction = saga.steps[position], Direction.UNDO if turned_back else Direction.ACTION
    elif saga.on_failed is not None:
        step, direction = saga.on_failed, Direction.ACTION
    else:
        raise LookupError(f"saga {saga.name} version {saga.version} has no on_failed")
    return Task(step, direction, saga.retry_of(step, direction))


def _needs_undo(step: Step, records: Records) -> bool:
    record = records.get((step.name, Direction.ACTION))
    return step.undo is not None and record is not None and record.state in _MAY_HAVE_EFFECT


def _out_of_time(step: str) -> Failure:
    return Failure(step, "SAGA_DEADLINE_EXCEEDED", "the operation was not finished in time")


def _error(fault: Faulted) -> Mapping[str, Any]:
    facts = {"reason": fault.reason, "message": fault.message, "detail": fault.detail}
    return facts | {"metadata": dict(fault.metadata)}
