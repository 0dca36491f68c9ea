"""Facts about people as domain events: of a person they tell the id alone, since they are kept for ever."""

from google.protobuf.message import Message

from chassis.database import Database
from chassis.outbox import Outbox, Publication
from greenledger.users.v1 import events_pb2 as pb
from services.users.domain.events import Deleted, Registered, Updated, UserEvent


class UserEvents:
    """Implements `Events`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def publish(self, event: UserEvent) -> None:
        topic, payload, version = _encode(event)
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [Publication(topic, event.user.user_id, payload, "user", version)])


def _encode(event: UserEvent) -> tuple[str, Message, int]:
    user = event.user
    match event:
        case Registered():
            return "user.registered", pb.UserRegistered(user_id=user.user_id, role=user.role), 2
        case Updated():
            return "user.updated", pb.UserUpdated(user_id=user.user_id, revision=user.revision), 2
        case Deleted():
            return "user.deleted", pb.UserDeleted(user_id=user.user_id), 1
    raise TypeError(f"no topic for {event!r}")
