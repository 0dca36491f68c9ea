"""Takes one instance as far as it goes: attempt, record, next."""

import asyncio
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

import structlog

from chassis import context as contexts
from chassis.clock import Clock
from chassis.crashpoints import crashpoint
from chassis.database import Database
from chassis.saga import metrics, transitions
from chassis.saga.definition import Direction, Saga, StepContext, crashpoint_name, idempotency_key
from chassis.saga.encoding import load_context
from chassis.saga.instance import Instance, Move, State
from chassis.saga.outcomes import Faulted, Outcome, Refused, Succeeded, encode_reply, outcome_of
from chassis.saga.store import LeaseLost, SagaStore
from chassis.saga.transitions import Course, Task

_log = structlog.get_logger(__name__)


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
        course, task = self._course(saga, instance), transitions.task_of(saga, instance)
        if not instance.armed and course.expired:
            return await self._write(instance, course.time_out())
        if task.step.local:
            return await self._local(saga, instance, task)
        if course.interrupted_for_good:
            instance.armed = True
            lost = Faulted("STEP_INTERRUPTED", f"step {task.step.name} was interrupted", "the engine died")
            return await self._write(instance, course.settle(lost, course.now, self._rng))
        if not instance.armed:
            await self._write(instance, course.begin())
        return await self._remote(saga, instance, task)

    async def _remote(self, saga: Saga, instance: Instance, task: Task) -> Move:
        """The announcement is recorded, then comes the effect, then the record of the reply."""
        self._crashpoint(saga, task, "before")
        started = self._clock.now()
        try:
            outcome: Outcome = Succeeded(encode_reply(await self._call(saga, instance, task)))
        except Exception as error:
            outcome = self._failed(instance, task, error)
        self._crashpoint(saga, task, "after_effect")
        move = await self._write(instance, self._settle(saga, instance, outcome, started))
        self._finished(saga, task, outcome, started)
        return move

    async def _local(self, saga: Saga, instance: Instance, task: Task) -> Move:
        """Effect and record commit together, so neither is there without the other."""
        self._crashpoint(saga, task, "before")
        started = self._clock.now()
        try:
            async with self._db.transaction() as tx:
                outcome: Outcome = Succeeded(encode_reply(await self._call(saga, instance, task)))
                self._crashpoint(saga, task, "after_effect")
                move = self._settle(saga, instance, outcome, started)
                await self._store.move(tx, instance, move)
        except LeaseLost:
            raise
        except Exception as error:
            # If the commit went through and only its answer was lost, the revision has moved on and
            # this write is refused.
            outcome = self._failed(instance, task, error)
            move = self._settle(saga, instance, outcome, started)
            await self._store.move(self._db, instance, move)
        instance.apply(move)
        self._finished(saga, task, outcome, started)
        return move

    async def _call(self, saga: Saga, instance: Instance, task: Task) -> Mapping[str, Any] | None:
        step, now = task.step, self._clock.now()
        limit = step.timeout
        if not instance.turned_back and instance.step < saga.pivot:
            limit = min(limit, instance.deadline_at - now)
        call = step.action if task.direction is Direction.ACTION else step.undo
        if call is None:
            raise LookupError(f"step {step.name} has no {task.direction}")
        around = load_context(instance.context, instance.saga_id)
        around = replace(around, deadline=self._clock.monotonic() + limit.total_seconds())
        with contexts.use(around):
            try:
                async with asyncio.timeout(limit.total_seconds()):
                    return await call(_context(instance, task, now + limit))
            except asyncio.CancelledError:
                running = asyncio.current_task()
                if running is None or running.cancelling():
                    raise
                # Nobody cancelled us: a client library reports its own cancelled call this way.
                raise TimeoutError("the call was cancelled") from None

    def _settle(self, saga: Saga, instance: Instance, outcome: Outcome, started: datetime) -> Move:
        return self._course(saga, instance).settle(outcome, started, self._rng)

    def _course(self, saga: Saga, instance: Instance) -> Course:
        return Course(saga, instance, self._clock.now(), hold=not self._draining())

    async def _write(self, instance: Instance, move: Move) -> Move:
        await self._store.move(self._db, instance, move)
        instance.apply(move)
        return move

    def _failed(self, instance: Instance, task: Task, error: Exception) -> Refused | Faulted:
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

    def _finished(self, saga: Saga, task: Task, outcome: Outcome, started: datetime) -> None:
        seconds = (self._clock.now() - started).total_seconds()
        labels = (saga.name, task.step.name, task.direction.value, type(outcome).__name__.lower())
        metrics.STEP_SECONDS.labels(*labels).observe(seconds)
        self._crashpoint(saga, task, "after_record")

    def _crashpoint(self, saga: Saga, task: Task, place: str) -> None:
        crashpoint(crashpoint_name(saga.name, task.step.name, task.direction, place))


def _context(instance: Instance, task: Task, deadline: datetime) -> StepContext:
    record = instance.records.get((task.step.name, task.direction))
    announced = record.attempts if record else 0
    return StepContext(
        saga_id=instance.saga_id,
        step=task.step.name,
        direction=task.direction,
        data=MappingProxyType(_own_copy(instance.data)),
        idempotency_key=idempotency_key(instance.saga_id, task.step.name, task.direction),
        action_key=idempotency_key(instance.saga_id, task.step.name, Direction.ACTION),
        attempt=announced if instance.armed else announced + 1,
        deadline=deadline,
        failure=instance.failure if instance.state is State.COMPENSATING else None,
    )


def _own_copy(data: dict[str, Any]) -> dict[str, Any]:
    # A step that changed a nested value would make later steps see what no restart would bring back.
    if any(isinstance(value, dict | list) for value in data.values()):
        copy: dict[str, Any] = json.loads(json.dumps(data))
        return copy
    return data
