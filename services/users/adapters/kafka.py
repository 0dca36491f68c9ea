"""Facts about people as domain events."""

from google.protobuf.message import Message

from chassis.database import Database
from chassis.outbox import Outbox, Publication
from greenledger.users.v1 import events_pb2 as pb
from services.users.adapters.codec import preferences_to_proto
from services.users.domain.events import Deleted, Registered, Updated, UserEvent


class UserEvents:
    """Implements `Events`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def publish(self, event: UserEvent) -> None:
        topic, payload = _encode(event)
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [Publication(topic, event.user.user_id, payload, "user")])


def _encode(event: UserEvent) -> tuple[str, Message]:
    user = event.user
    match event:
        case Registered():
            return "user.registered", pb.UserRegistered(
                user_id=user.user_id,
                email=user.email,
                display_name=user.display_name,
                role=user.role,
                preferences=preferences_to_proto(user.preferences),
            )
        case Updated():
            return "user.updated", pb.UserUpdated(
                user_id=user.user_id,
                email=user.email,
                display_name=user.display_name,
                preferences=preferences_to_proto(user.preferences),
                revision=user.revision,
            )
        case Deleted():
            return "user.deleted", pb.UserDeleted(user_id=user.user_id)
    raise TypeError(f"no topic for {event!r}")
