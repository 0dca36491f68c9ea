"""What people do about sagas that cannot help themselves; every act is recorded with who and why."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from chassis.clock import Clock
from chassis.database import Database, Transaction
from chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.saga import transitions
from chassis.saga.definition import Direction, Failure, Saga
from chassis.saga.instance import Instance, Move, State, StepRecord, StepState
from chassis.saga.store import SagaStore
from chassis.saga.transitions import Course

HIDDEN = "[hidden]"
_NOW = timedelta(0)


@dataclass(frozen=True, slots=True)
class OperatorAction:
    """One line of the audit."""

    who: str
    what: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class _Order:
    who: str
    what: str
    why: str


class SagaOperator:
    """Look at sagas, and move stuck ones.

    Args:
        db: the service's database.
        store: the instances in it.
        sagas: definitions by (name, version).
        clock: for the audit.
        wake: called after a commit that made an instance due.
    """

    def __init__(
        self,
        db: Database,
        store: SagaStore,
        sagas: Mapping[tuple[str, int], Saga],
        clock: Clock,
        wake: Callable[[], None],
    ) -> None:
        self._db = db
        self._store = store
        self._sagas = sagas
        self._clock = clock
        self._wake = wake

    async def list(
        self,
        state: State | None = None,
        *,
        name: str | None = None,
        before: str | None = None,
        limit: int = 50,
    ) -> list[Instance]:
        """Instances without their steps, newest id first.

        Args:
            state: only these; default all.
            name: only this saga; default all.
            before: id of the last instance of the page before; default from the newest.
            limit: page size, 1 to 1000; default 50.
        """
        return await self._store.page(state, name, before, min(max(limit, 1), 1000))

    async def get(self, saga_id: str) -> Instance:
        """One instance with its steps in `records`.

        Raises:
            NotFound: no such saga.
        """
        instance = await self._store.get(saga_id)
        if instance is None:
            raise _not_found(saga_id)
        return instance

    def visible(self, instance: Instance) -> dict[str, Any]:
        """An instance's data without what its definition hides; all of it is hidden without a definition."""
        saga = self._sagas.get((instance.name, instance.version))
        return {
            key: HIDDEN if saga is None or key in saga.hidden else value
            for key, value in instance.data.items()
        }

    async def actions(self, saga_id: str) -> Sequence[OperatorAction]:
        """What operators did to an instance, oldest first."""
        statement = "SELECT who, what, why, at FROM operator_action WHERE subject = $1 ORDER BY id"
        return [OperatorAction(*row) for row in await self._db.fetch(statement, f"saga/{saga_id}")]

    async def retry(self, saga_id: str, who: str, why: str) -> Instance:
        """Try the step in hand again at once, with a fresh budget of attempts when it was stuck.

        Raises:
            NotFound: no such saga.
            FailedPrecondition: it has ended, or an engine is working on it.
        """
        async with self._db.transaction() as tx:
            saga, instance = await self._locked(tx, saga_id)
            if instance.state is State.STUCK:
                record = replace(_in_hand(saga, instance), state=StepState.WAITING, attempts=0)
                state = State.COMPENSATING if instance.turned_back else State.RUNNING
                move = Move(state, instance.step, instance.turned_back, (record,))
            elif instance.state.active and instance.lease_owner is None:
                move = Move(instance.state, instance.step, instance.turned_back)
            else:
                raise _refusal("SAGA_NOT_WAITING", instance, "there is nothing to retry")
            return await self._act(tx, instance, move, _Order(who, "retry", why))

    async def skip(self, saga_id: str, step: str, who: str, why: str) -> Instance:
        """Declare the stuck step done by hand and go on behind it; a skipped action is never undone.

        Raises:
            NotFound: no such saga.
            FailedPrecondition: it is not stuck at this step.
        """
        async with self._db.transaction() as tx:
            saga, instance = await self._locked(tx, saga_id)
            if instance.state is not State.STUCK or transitions.task_of(saga, instance).step.name != step:
                raise _refusal("SAGA_NOT_STUCK_THERE", instance, f"it is not stuck at step {step}")
            now = self._clock.now()
            record = replace(_in_hand(saga, instance), state=StepState.SKIPPED, finished_at=now)
            move = Course(saga, instance, now, hold=False).advance(record)
            return await self._act(tx, instance, move, _Order(who, f"skip {step}", why))

    async def force_compensate(self, saga_id: str, who: str, why: str) -> Instance:
        """Turn a running or stuck saga back, fencing off the engine that works on it.

        A step whose outcome is unknown and that has no undo is taken, on the operator's word, to have
        had no effect.

        Raises:
            NotFound: no such saga.
            FailedPrecondition: it has ended or turned back already, or something behind the pivot has
                succeeded that has no undo, so that the result would be half a saga.
        """
        async with self._db.transaction() as tx:
            saga, instance = await self._locked(tx, saga_id)
            if instance.state.final or instance.turned_back:
                raise _refusal("SAGA_NOT_FORWARD", instance, "it no longer goes forward")
            if fixed := _irreversible(saga, instance):
                raise _refusal("SAGA_PAST_PIVOT", instance, f"step {fixed} has succeeded and has no undo")
            step = transitions.task_of(saga, instance).step.name
            failure = Failure(step, "FORCED_BY_OPERATOR", "an operator called the operation off")
            move = Course(saga, instance, self._clock.now(), hold=False).turn_back(failure)
            return await self._act(tx, instance, move, _Order(who, "force_compensate", why))

    async def _locked(self, tx: Transaction, saga_id: str) -> tuple[Saga, Instance]:
        instance = await self._store.get(saga_id, tx, lock=True)
        if instance is None:
            raise _not_found(saga_id)
        saga = self._sagas.get((instance.name, instance.version))
        if saga is None:
            raise _refusal("SAGA_DEFINITION_UNKNOWN", instance, "this process does not have its definition")
        return saga, instance

    async def _act(self, tx: Transaction, instance: Instance, move: Move, order: "_Order") -> Instance:
        if not order.who.strip() or not order.why.strip():
            raise InvalidArgument("OPERATOR_REASON_REQUIRED", "Say who acts and why.")
        move = replace(move, delay=_NOW, held=False)
        await self._store.move(tx, instance, move, bump=True)
        statement = "INSERT INTO operator_action (subject, who, what, why, at) VALUES ($1, $2, $3, $4, $5)"
        await tx.execute(
            statement, f"saga/{instance.saga_id}", order.who, order.what, order.why, self._clock.now()
        )
        tx.on_commit(self._wake)
        instance.apply(move)
        return instance


def _in_hand(saga: Saga, instance: Instance) -> StepRecord:
    task = transitions.task_of(saga, instance)
    return instance.records[task.step.name, task.direction]


def _irreversible(saga: Saga, instance: Instance) -> str | None:
    for step in saga.steps[saga.pivot :]:
        record = instance.records.get((step.name, Direction.ACTION))
        if step.undo is None and record is not None and record.state is StepState.SUCCEEDED:
            return step.name
    return None


def _refusal(reason: str, instance: Instance, why: str) -> FailedPrecondition:
    facts = {"saga_id": instance.saga_id, "state": instance.state.value}
    message = f"Saga {instance.saga_id} is {instance.state}: {why}."
    return FailedPrecondition(reason, message, metadata=facts, resource=("saga", instance.saga_id))


def _not_found(saga_id: str) -> NotFound:
    return NotFound("SAGA_NOT_FOUND", f"There is no saga {saga_id}.", resource=("saga", saga_id))
