"""Takes one instance as far as it goes: attempt, record, next."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog

from chassis.clock import Clock
from chassis.crashpoints import crashpoint
from chassis.database import Database
from chassis.saga import metrics
from chassis.saga.calls import call
from chassis.saga.definition import Saga, crashpoint_name
from chassis.saga.instance import Instance, Move, merged
from chassis.saga.outcomes import Faulted, Outcome, Refused, outcome_of
from chassis.saga.store import LeaseLost, SagaStore
from chassis.saga.transitions import Course, Task, task_of

_log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Run:
    """Local steps that are to commit together: those done, their moves, and when the one in hand began.

    The first may be a remote step that has its reply: then recording it is part of the same commit.
    """

    started: datetime
    done: list[Task] = field(default_factory=list)
    moves: list[Move] = field(default_factory=list)
    in_step: bool = False


class Runner:
    """Runs the steps of instances whose lease the engine holds.

    Args:
        db: the service's database.
        store: the instances in it.
        clock: for deadlines and recorded times.
        rng: for the jitter of retries.
        draining: whether to stop after the step in hand.
    """

    def __init__(
        self, db: Database, store: SagaStore, clock: Clock, rng: random.Random, draining: Callable[[], bool]
    ) -> None:
        self._db = db
        self._store = store
        self._clock = clock
        self._rng = rng
        self._draining = draining

    async def drive(self, saga: Saga, instance: Instance) -> Move:
        """Run steps until the instance ends, waits or is stuck, or the engine drains; returns the last move.

        Raises:
            LeaseLost: somebody else has taken the instance over.
            DomainError: the database cannot be reached; the lease will run out.
        """
        move = await self._step(saga, instance)
        while move.held:
            move = await self._step(saga, instance)
        return move

    async def _step(self, saga: Saga, instance: Instance) -> Move:
        course, task = self._course(saga, instance), task_of(saga, instance)
        if not instance.armed and course.expired:
            return await self._write(instance, course.time_out())
        if task.step.local:
            return await self._local(saga, instance)
        if course.interrupted_for_good:
            instance.armed = True
            lost = Faulted("STEP_INTERRUPTED", f"step {task.step.name} was interrupted", "the engine died")
            return await self._write(instance, course.settle(lost, course.now, self._rng))
        if not instance.armed:
            await self._write(instance, course.begin())
        return await self._remote(saga, instance, task)

    async def _remote(self, saga: Saga, instance: Instance, task: Task) -> Move:
        """The announcement is recorded, then comes the effect, then the record of the reply.

        Local steps that follow at once commit with that record. Should they fail, the reply is recorded
        alone; should we die before, the step is asked again under its key, as with any reply that is lost.
        """
        _crashpoint(saga, task, "before")
        started = self._clock.now()
        try:
            outcome: Outcome = await self._measured(saga, instance, task)
        except Exception as error:
            outcome = _failed(instance, task, error)
        _crashpoint(saga, task, "after_effect")
        settled = self._settle(saga, instance, outcome, started)
        if settled.held and not settled.armed:
            try:
                return await self._together(saga, instance, _Run(started, [task], [settled]), len(saga.steps))
            except LeaseLost:
                raise
            except Exception as error:
                # Whatever it was: the local steps come next, alone, and fail there in a way that is settled.
                _log.info("saga_reply_recorded_alone", saga_id=instance.saga_id, error=repr(error))
        move = await self._write(instance, settled)
        _crashpoint(saga, task, "after_record")
        return move

    async def _local(self, saga: Saga, instance: Instance) -> Move:
        """Effects and records of local steps in a row commit together: all of them are there, or none.

        When one fails, nothing has happened yet: those before it are run again without it, then it alone.
        """
        most = len(saga.steps) + 1
        while True:
            run = _Run(self._clock.now())
            try:
                return await self._together(saga, instance, run, most)
            except LeaseLost:
                raise
            except Exception as error:
                # What fails outside a step is the record or the commit; it is put down to a step alone.
                most = len(run.done) if run.in_step else min(len(run.done) - 1, 1)
                if most <= 0:
                    return await self._failed_alone(saga, instance, error, run.started)

    async def _together(self, saga: Saga, instance: Instance, run: _Run, most: int) -> Move:
        ahead, moves = replace(instance, records=dict(instance.records)), run.moves
        for settled in moves:
            ahead.apply(settled)
        async with self._db.transaction() as tx:
            while len(moves) < most and (not moves or (moves[-1].held and not moves[-1].armed)):
                task, run.started, run.in_step = task_of(saga, ahead), self._clock.now(), True
                _crashpoint(saga, task, "before")
                outcome = await self._measured(saga, ahead, task)
                _crashpoint(saga, task, "after_effect")
                run.done.append(task)
                run.in_step = False
                moves.append(self._settle(saga, ahead, outcome, run.started))
                ahead.apply(moves[-1])
            move = merged(moves)
            await self._store.move(tx, instance, move)
        instance.apply(move)
        for task in run.done:
            _crashpoint(saga, task, "after_record")
        return move

    async def _failed_alone(
        self, saga: Saga, instance: Instance, error: Exception, started: datetime
    ) -> Move:
        task = task_of(saga, instance)
        outcome = _failed(instance, task, error)
        # If the commit went through and only its answer was lost, the revision has moved on and this
        # write is refused.
        move = await self._write(instance, self._settle(saga, instance, outcome, started))
        _crashpoint(saga, task, "after_record")
        return move

    async def _measured(self, saga: Saga, instance: Instance, task: Task) -> Outcome:
        begun, kind = time.perf_counter(), "failed"
        try:
            succeeded = await call(saga, instance, task, self._clock)
            kind = "succeeded"
            return succeeded
        finally:
            labels = (saga.name, task.step.name, task.direction.value, kind)
            metrics.STEP_SECONDS.labels(*labels).observe(time.perf_counter() - begun)

    def _settle(self, saga: Saga, instance: Instance, outcome: Outcome, started: datetime) -> Move:
        return self._course(saga, instance).settle(outcome, started, self._rng)

    def _course(self, saga: Saga, instance: Instance) -> Course:
        return Course(saga, instance, self._clock.now(), hold=not self._draining())

    async def _write(self, instance: Instance, move: Move) -> Move:
        await self._store.move(self._db, instance, move)
        instance.apply(move)
        return move


def _failed(instance: Instance, task: Task, error: Exception) -> Refused | Faulted:
    outcome = outcome_of(error, task.step.name)
    unexpected = isinstance(outcome, Faulted) and outcome.reason == "STEP_FAILED"
    _log.warning(
        "saga_step_failed",
        saga=instance.name,
        saga_id=instance.saga_id,
        step=task.step.name,
        direction=task.direction.value,
        reason=outcome.reason,
        message=outcome.message,
        refused=isinstance(outcome, Refused),
        exc_info=error if unexpected else None,
    )
    return outcome


def _crashpoint(saga: Saga, task: Task, place: str) -> None:
    crashpoint(crashpoint_name(saga.name, task.step.name, task.direction, place))
