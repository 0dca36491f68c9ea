"""The service that knows the people, over its stub."""

import grpc.aio

from chassis.errors import InvalidArgument, NotFound, Unavailable
from greenledger.users.v1 import users_pb2, users_pb2_grpc
from interceptors.client_errors import callee_errors
from services.notifications.adapters.codec import contact_from_proto
from services.notifications.domain.notification import Contact


class UsersClient:
    """Implements `Directory`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = users_pb2_grpc.UserServiceStub(channel)

    async def find(self, user_id: str) -> Contact | None:
        try:
            with callee_errors():
                user = await self._stub.GetUser(users_pb2.GetUserRequest(user_id=user_id))
        except (NotFound, InvalidArgument):
            return None  # not there, or what an event called a person has no id of one
        if user.state == users_pb2.USER_STATE_PENDING:
            raise Unavailable("UNAVAILABLE", "the registration of this person is under way")
        return contact_from_proto(user) if user.state == users_pb2.USER_STATE_ACTIVE else None
