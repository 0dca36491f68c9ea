"""Notifications, over its stub."""

import grpc.aio

from greenledger.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from interceptors.client_errors import callee_errors


class NewsClient:
    """Implements `News`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = notifications_pb2_grpc.NotificationServiceStub(channel)

    @callee_errors()
    async def send(self, request_id: str, user_id: str, title: str, message: str) -> None:
        await self._stub.SendNotification(
            notifications_pb2.SendNotificationRequest(
                request_id=request_id,
                user_id=user_id,
                template="market-news",
                parameters={"title": title, "message": message},
            )
        )
