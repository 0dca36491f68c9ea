"""The settlements on the chassis' saga engine."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chassis.database import Database
from chassis.errors import DeadlineExceeded, NotFound
from chassis.saga import Instance, Refusal, SagaEngine, State
from services.market.application.pool_ports import SettlementProgress
from services.market.application.pool_settle_saga import SAGAS, from_json, to_json
from services.market.domain.pool_settlement import Settlement


class EngineSettlements:
    """Implements `Settlements`."""

    def __init__(self, database: Database, engine: SagaEngine) -> None:
        self._database = database
        self._engine = engine

    async def find(self, settlement_id: str) -> SettlementProgress | None:
        try:
            return _progress(await self._engine.operator.get(settlement_id))
        except NotFound:
            return None

    async def start(self, settlement: Settlement, data: Mapping[str, Any]) -> SettlementProgress:
        facts = {**to_json(settlement), **data}
        async with self._database.transaction() as tx:
            name = SAGAS[settlement.kind]
            return _progress(await self._engine.start(tx, name, settlement.settlement_id, facts))

    async def outcome(self, settlement_id: str, within: timedelta) -> SettlementProgress:
        try:
            return _progress(await self._engine.outcome(settlement_id, within))
        except DeadlineExceeded:
            return _progress(await self._engine.operator.get(settlement_id))


def _progress(instance: Instance) -> SettlementProgress:
    done = instance.state is State.COMPLETED
    return SettlementProgress(from_json(instance.data), done, instance.data, Refusal.of(instance))
