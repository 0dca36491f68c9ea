"""Facts about access as domain events, and the events that end it."""

from google.protobuf.message import Message

from chassis.database import Database, Transaction
from chassis.inbox import ReceivedEvent, Subscription
from chassis.outbox import Outbox, Publication
from greenledger.auth.v1 import events_pb2 as pb
from greenledger.users.v1 import events_pb2 as users_pb
from services.auth.application.credentials import RevokeCredentials
from services.auth.domain.events import (
    AuthEvent,
    RolesAssigned,
    TokenReuseDetected,
    WalletLinked,
    WalletUnlinked,
)


class AuthEvents:
    """Implements `Events`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def publish(self, event: AuthEvent) -> None:
        topic, payload = _encode(event)
        async with self._database.transaction() as tx:
            await self._outbox.publish(tx, [Publication(topic, event.user_id, payload, "user")])


def _encode(event: AuthEvent) -> tuple[str, Message]:
    match event:
        case RolesAssigned(user_id, roles):
            return "auth.roles-assigned", pb.RolesAssigned(user_id=user_id, roles=roles)
        case TokenReuseDetected(user_id, family_id):
            return "auth.token-reuse-detected", pb.TokenReuseDetected(user_id=user_id, family_id=family_id)
        case WalletLinked(user_id, wallet_id):
            return "auth.wallet-linked", pb.WalletLinked(user_id=user_id, wallet_id=wallet_id)
        case WalletUnlinked(user_id, wallet_id):
            return "auth.wallet-unlinked", pb.WalletUnlinked(user_id=user_id, wallet_id=wallet_id)
    raise TypeError(f"no topic for {event!r}")


def user_deleted(revoke: RevokeCredentials) -> Subscription[users_pb.UserDeleted]:
    """Who closed their account cannot log in again."""

    async def apply(event: ReceivedEvent[users_pb.UserDeleted], _tx: Transaction) -> None:
        await revoke(event.payload.user_id)

    return Subscription("user.deleted", users_pb.UserDeleted, apply)
