"""One call of a step: its context, its time limit, and what it answers."""

import asyncio
import json
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import Any

from chassis import context as contexts
from chassis.clock import Clock
from chassis.context import RequestContext
from chassis.saga.definition import Direction, Saga, StepContext, idempotency_key
from chassis.saga.encoding import load_context
from chassis.saga.instance import Instance, State
from chassis.saga.outcomes import Succeeded, encode_reply
from chassis.saga.transitions import Task


async def call(saga: Saga, instance: Instance, task: Task, clock: Clock) -> Succeeded:
    """Call the action or undo that is due, in the request context of the saga's start.

    Raises:
        TimeoutError: the step's timeout, or before the pivot the saga's deadline, passed.
        Exception: whatever the call raised.
    """
    step, now = task.step, clock.now()
    limit = step.timeout
    if not instance.turned_back and instance.step < saga.pivot:
        limit = min(limit, instance.deadline_at - now)
    function = step.action if task.direction is Direction.ACTION else step.undo
    if function is None:
        raise LookupError(f"step {step.name} has no {task.direction}")
    step_context = _context(instance, task, now + limit)
    with contexts.use(_around(instance, step_context, clock.monotonic() + limit.total_seconds())):
        try:
            async with asyncio.timeout(limit.total_seconds()):
                return Succeeded(encode_reply(await function(step_context)))
        except asyncio.CancelledError:
            running = asyncio.current_task()
            if running is None or running.cancelling():
                raise
            # Nobody cancelled us: a client library reports its own cancelled call this way.
            raise TimeoutError("the call was cancelled") from None


def _around(instance: Instance, step: StepContext, deadline: float) -> RequestContext:
    around = replace(load_context(instance.context, instance.saga_id), deadline=deadline)
    if step.direction is Direction.ACTION and step.attempt == 1:
        return around
    # What has to come to an end does not depend on a version that is being tried out.
    return replace(around, routing=())


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
