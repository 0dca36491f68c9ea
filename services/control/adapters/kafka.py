"""Changes of policies and settings as domain events."""

from typing import Any

from google.protobuf.message import Message

from chassis.database import Database
from chassis.outbox import Outbox, Publication
from greenledger.control.v1 import events_pb2 as pb
from services.control.domain.versioned import Versioned


class ControlEvents:
    """Publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def traffic_changed(self, service: str, change: Versioned[Any]) -> None:
        payload = pb.TrafficPolicyChanged(
            service=service, version=change.version, updated_by=change.updated_by, why=change.why
        )
        await self._publish("control.traffic-changed", service, payload, "policy")

    async def config_changed(self, name: str, value: str, change: Versioned[str]) -> None:
        payload = pb.ConfigChanged(
            name=name, value=value, version=change.version, updated_by=change.updated_by, why=change.why
        )
        await self._publish("control.config-changed", name, payload, "setting")

    async def _publish(self, topic: str, key: str, payload: Message, kind: str) -> None:
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [Publication(topic, key, payload, kind)])
