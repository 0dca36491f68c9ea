"""The recall saga: its definition, and how a request waits for it."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chassis.database import Database
from chassis.errors import DeadlineExceeded
from chassis.saga import Instance, Refusal, Retry, Saga, SagaEngine, State, Step, StepContext
from services.crops.application.recall_ports import Recall, RecallProgress, Recorded
from services.crops.application.recall_steps import RecallSteps
from services.crops.domain.events import RecallClass

NAME = "recall_lot"
# Goods that make people ill are worth a call every few seconds, however long inventory is away.
_SOON = Retry(attempts=None, ceiling=timedelta(seconds=5))
# Longer than any outage: a recall that its caller was told is under way is never given up.
_NEVER = timedelta(days=36_500)
# A lot may have thousands of descendants.
_LONG = timedelta(minutes=5)


def recall_saga(steps: RecallSteps) -> Saga:
    """Record, then quarantine for ever until it is done; no way back once it is recorded."""

    async def record(step: StepContext) -> Mapping[str, Any]:
        recorded = await steps.record(step.saga_id, _recall(step.data))
        held_by = {recall_id: list(lot_ids) for recall_id, lot_ids in recorded.held_by.items()}
        return {"version": recorded.version, "lot_ids": list(recorded.lot_ids), "held_by": held_by}

    async def quarantine(step: StepContext) -> None:
        recorded = _recorded(step.data)
        if recorded is None:
            raise LookupError("nothing was recorded")
        await steps.quarantine(step.idempotency_key, _recall(step.data), recorded)

    return Saga(
        name=NAME,
        version=1,
        deadline=_NEVER,
        steps=(
            Step("record", record, pivot=True, local=True, timeout=_LONG),
            Step("quarantine", quarantine, timeout=_LONG, retry=_SOON),
        ),
    )


class EngineRecalls:
    """Implements `Recalls`."""

    def __init__(self, database: Database, engine: SagaEngine) -> None:
        self._database = database
        self._engine = engine

    async def start(self, recall_id: str, recall: Recall) -> RecallProgress:
        data = {name: getattr(recall, name) for name in recall.__dataclass_fields__}
        async with self._database.transaction() as tx:
            return _progress(await self._engine.start(tx, NAME, recall_id, data))

    async def outcome(self, recall_id: str, within: timedelta) -> RecallProgress:
        try:
            return _progress(await self._engine.outcome(recall_id, within))
        except DeadlineExceeded:
            return _progress(await self._engine.operator.get(recall_id))


def _recall(data: Mapping[str, Any]) -> Recall:
    facts = {name: data[name] for name in Recall.__dataclass_fields__}
    return Recall(**{**facts, "recall_class": RecallClass(facts["recall_class"])})


def _recorded(data: Mapping[str, Any]) -> Recorded | None:
    if "version" not in data:
        return None
    return Recorded(data["version"], tuple(data["lot_ids"]), data["held_by"])


def _progress(instance: Instance) -> RecallProgress:
    blocked = instance.state is State.COMPLETED
    return RecallProgress(_recall(instance.data), _recorded(instance.data), blocked, Refusal.of(instance))
