"""The launches on the chassis' saga engine."""

from datetime import timedelta

from chassis.database import Database
from chassis.errors import DeadlineExceeded, NotFound
from chassis.saga import Instance, Refusal, SagaEngine, State
from services.market.application.launch_ports import LaunchProgress
from services.market.application.launch_saga import NAME, from_json, to_json
from services.market.domain.launch import Launch


class EngineLaunches:
    """Implements `Launches`."""

    def __init__(self, database: Database, engine: SagaEngine) -> None:
        self._database = database
        self._engine = engine

    async def find(self, launch_id: str) -> LaunchProgress | None:
        try:
            return _progress(await self._engine.operator.get(launch_id))
        except NotFound:
            return None

    async def start(self, launch_id: str, launch: Launch, pool_id: str, campaign_id: str) -> LaunchProgress:
        data = {**to_json(launch), "pool_id": pool_id, "campaign_id": campaign_id}
        async with self._database.transaction() as tx:
            return _progress(await self._engine.start(tx, NAME, launch_id, data))

    async def outcome(self, launch_id: str, within: timedelta) -> LaunchProgress:
        try:
            return _progress(await self._engine.outcome(launch_id, within))
        except DeadlineExceeded:
            return _progress(await self._engine.operator.get(launch_id))


def _progress(instance: Instance) -> LaunchProgress:
    done = instance.state is State.COMPLETED
    return LaunchProgress(
        instance.saga_id, from_json(instance.data), done, instance.data, Refusal.of(instance)
    )
