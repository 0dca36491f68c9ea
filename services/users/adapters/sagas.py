"""The registration saga on the chassis' engine."""

from collections.abc import Mapping
from typing import Any

from chassis.database import Database
from chassis.saga import SagaEngine
from services.users.application.registration_saga import NAME


class EngineRegistrations:
    """Implements `RegistrationSagas`."""

    def __init__(self, database: Database, engine: SagaEngine) -> None:
        self._database = database
        self._engine = engine

    async def start(self, user_id: str, data: Mapping[str, Any]) -> None:
        async with self._database.transaction() as tx:
            await self._engine.start(tx, NAME, user_id, data)
