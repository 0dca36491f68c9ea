"""The services that a registration needs, over their stubs."""

import grpc.aio

from greenledger.auth.v1 import auth_pb2, auth_pb2_grpc
from greenledger.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from interceptors.client_errors import callee_errors


class AuthClient:
    """Implements `Credentials`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = auth_pb2_grpc.AuthServiceStub(channel)

    @callee_errors()
    async def prepare(self, email: str, password: str, role: str) -> str:
        prepared = await self._stub.PrepareCredentials(
            auth_pb2.PrepareCredentialsRequest(email=email, password=password, role=role)
        )
        return prepared.ticket

    @callee_errors()
    async def activate(self, key: str, user_id: str, ticket: str) -> None:
        await self._stub.ActivateCredentials(
            auth_pb2.ActivateCredentialsRequest(request_id=key, user_id=user_id, ticket=ticket)
        )

    @callee_errors()
    async def revoke(self, key: str, user_id: str) -> None:
        await self._stub.RevokeCredentials(auth_pb2.RevokeCredentialsRequest(request_id=key, user_id=user_id))


class NotificationsClient:
    """Implements `Messages`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = notifications_pb2_grpc.NotificationServiceStub(channel)

    @callee_errors()
    async def welcome(self, key: str, user_id: str) -> None:
        await self._stub.SendNotification(
            notifications_pb2.SendNotificationRequest(request_id=key, user_id=user_id, template="welcome")
        )
