"""The services that transfers and recalls need, over their stubs."""

from collections.abc import Sequence

import grpc.aio

from chassis.errors import NotFound
from greenledger.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from greenledger.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from greenledger.users.v1 import users_pb2, users_pb2_grpc
from interceptors.client_errors import callee_errors
from services.crops.application.ports import Person

_QUARANTINE_S = 50.0
"""For one page of lots, which thousands of orders may have been served from."""


class UsersClient:
    """Implements `Directory`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = users_pb2_grpc.UserServiceStub(channel)

    async def find(self, user_id: str) -> Person | None:
        try:
            with callee_errors():
                user = await self._stub.GetUser(users_pb2.GetUserRequest(user_id=user_id))
        except NotFound:
            return None
        return Person(user.user_id, user.display_name) if user.state == users_pb2.USER_STATE_ACTIVE else None


class NotificationsClient:
    """Implements `Notifier`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = notifications_pb2_grpc.NotificationServiceStub(channel)

    @callee_errors()
    async def tell_of_transfer(
        self, request_id: str, user_id: str, *, lot_code: str, from_name: str, to_name: str
    ) -> None:
        await self._stub.SendNotification(
            notifications_pb2.SendNotificationRequest(
                request_id=request_id,
                user_id=user_id,
                template="lot-transferred",
                parameters={"lot_code": lot_code, "from": from_name, "to": to_name},
            )
        )


class InventoryClient:
    """Implements `Quarantine`."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._stub = inventory_pb2_grpc.InventoryServiceStub(channel)

    @callee_errors()
    async def block(self, request_id: str, recall_id: str, lot_ids: Sequence[str], reason: str) -> None:
        request = inventory_pb2.QuarantineLotsRequest(
            request_id=request_id, recall_id=recall_id, lot_ids=lot_ids, reason=reason
        )
        await self._stub.QuarantineLots(request, timeout=_QUARANTINE_S)
