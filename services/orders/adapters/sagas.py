"""The sagas of orders on the chassis' engine."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from chassis.database import Database
from chassis.errors import DeadlineExceeded
from chassis.saga import SagaEngine
from services.orders.application import checkout_saga, recalled_order


class EngineCheckouts:
    """Implements `CheckoutSagas`."""

    def __init__(self, database: Database, engine: SagaEngine) -> None:
        self._database = database
        self._engine = engine

    async def start(self, order_id: str, data: Mapping[str, Any]) -> None:
        async with self._database.transaction() as tx:
            await self._engine.start(tx, checkout_saga.NAME, order_id, data)

    async def ended(self, order_id: str, within: timedelta) -> bool:
        try:
            await self._engine.outcome(order_id, within)
        except DeadlineExceeded:
            return False
        return True


class EngineRecalls:
    """Implements `RecallSagas`."""

    def __init__(self, database: Database, engine: SagaEngine) -> None:
        self._database = database
        self._engine = engine

    async def start(self, saga_id: str, data: Mapping[str, Any]) -> None:
        async with self._database.transaction() as tx:
            await self._engine.start(tx, recalled_order.NAME, saga_id, data)
