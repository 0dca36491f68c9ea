"""One suite for the ports to other services: the fakes pass what the real clients pass."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from uuid import uuid4

import grpc.aio
import pytest
import pytest_asyncio

from chassis.errors import AlreadyExists, NotFound, Unavailable
from greenledger.inventory.v1 import inventory_pb2, inventory_pb2_grpc
from greenledger.notifications.v1 import notifications_pb2, notifications_pb2_grpc
from greenledger.users.v1 import users_pb2, users_pb2_grpc
from services.crops.adapters.clients import InventoryClient, NotificationsClient, UsersClient
from services.crops.application.ports import Directory, Notifier, Person
from services.crops.application.recall_ports import Quarantine
from tests.integration.crops.fakes import FakeDirectory, FakeNotifier, FakeQuarantine
from tests.unit.crops.lots import BUYER, GROWER, LOT_ID, RECALL_ID, STRANGER


class UsersServer(users_pb2_grpc.UserServiceServicer):
    """Speaks the contract of users: BUYER is active, STRANGER was deleted."""

    async def GetUser(
        self, request: users_pb2.GetUserRequest, context: grpc.aio.ServicerContext[object, object]
    ) -> users_pb2.User:
        states = {BUYER: users_pb2.USER_STATE_ACTIVE, STRANGER: users_pb2.USER_STATE_DELETED}
        if request.user_id not in states:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
        return users_pb2.User(user_id=request.user_id, display_name="Bistro", state=states[request.user_id])


class NotificationsServer(notifications_pb2_grpc.NotificationServiceServicer):
    """Speaks the contract of notifications: one effect for each request_id."""

    def __init__(self) -> None:
        self.sent: dict[str, notifications_pb2.SendNotificationRequest] = {}

    async def SendNotification(
        self,
        request: notifications_pb2.SendNotificationRequest,
        context: grpc.aio.ServicerContext[object, object],
    ) -> notifications_pb2.Notification:
        if request.user_id != BUYER:
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such user")
        if self.sent.setdefault(request.request_id, request) != request:
            await context.abort(grpc.StatusCode.ALREADY_EXISTS, "used before")
        return notifications_pb2.Notification(user_id=request.user_id)


class InventoryServer(inventory_pb2_grpc.InventoryServiceServicer):
    """Speaks the contract of inventory, as far as recalls need it."""

    def __init__(self) -> None:
        self.blocked: dict[str, set[str]] = {}

    async def QuarantineLots(
        self,
        request: inventory_pb2.QuarantineLotsRequest,
        context: grpc.aio.ServicerContext[object, object],
    ) -> inventory_pb2.QuarantineLotsResponse:
        self.blocked.setdefault(request.recall_id, set()).update(request.lot_ids)
        return inventory_pb2.QuarantineLotsResponse()


@dataclass
class Participants:
    """The ports, what came of the last two, and how to take all away."""

    directory: Directory
    notifier: Notifier
    quarantine: Quarantine
    sent: Callable[[], int]
    blocked: Callable[[], dict[str, set[str]]]
    leave: Callable[[], Awaitable[object]]


@pytest_asyncio.fixture(params=["fakes", "clients"])
async def participants(request: pytest.FixtureRequest) -> AsyncIterator[Participants]:
    if request.param == "fakes":
        directory, notifier, quarantine = FakeDirectory(), FakeNotifier({BUYER}), FakeQuarantine()
        directory.add(BUYER, "Bistro")

        async def leave() -> None:
            directory.failure = notifier.failure = quarantine.failure = Unavailable("UNAVAILABLE", "away")

        yield Participants(
            directory, notifier, quarantine, lambda: len(notifier.sent), lambda: quarantine.blocked, leave
        )
        return
    server, notifications, inventory = grpc.aio.server(), NotificationsServer(), InventoryServer()
    inventory_pb2_grpc.add_InventoryServiceServicer_to_server(inventory, server)
    users_pb2_grpc.add_UserServiceServicer_to_server(UsersServer(), server)
    notifications_pb2_grpc.add_NotificationServiceServicer_to_server(notifications, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        yield Participants(
            UsersClient(channel),
            NotificationsClient(channel),
            InventoryClient(channel),
            lambda: len(notifications.sent),
            lambda: inventory.blocked,
            lambda: server.stop(None),
        )
    await server.stop(None)


async def test_only_active_users_are_found(participants: Participants) -> None:
    assert await participants.directory.find(BUYER) == Person(BUYER, "Bistro")
    assert await participants.directory.find(STRANGER) is None
    assert await participants.directory.find(str(uuid4())) is None


async def tell(notifier: Notifier, request_id: str, user_id: str, to_name: str = "Bistro") -> None:
    await notifier.tell_of_transfer(request_id, user_id, lot_code="L", from_name="Farm", to_name=to_name)


async def test_a_repeated_request_sends_one_message(participants: Participants) -> None:
    request_id = str(uuid4())
    await tell(participants.notifier, request_id, BUYER)
    await tell(participants.notifier, request_id, BUYER)
    assert participants.sent() == 1
    with pytest.raises(AlreadyExists):
        await tell(participants.notifier, request_id, BUYER, to_name="Renamed")


async def test_nobody_is_told_who_is_unknown(participants: Participants) -> None:
    with pytest.raises(NotFound):
        await tell(participants.notifier, str(uuid4()), GROWER)
    assert participants.sent() == 0


async def test_lots_are_blocked_in_the_name_of_their_recall(participants: Participants) -> None:
    request_id, other = str(uuid4()), str(uuid4())
    for _ in range(2):
        await participants.quarantine.block(request_id, RECALL_ID, [LOT_ID], "glass")
    await participants.quarantine.block(str(uuid4()), other, [LOT_ID], "glass")
    assert participants.blocked() == {RECALL_ID: {LOT_ID}, other: {LOT_ID}}


async def test_a_service_that_is_away_is_unavailable(participants: Participants) -> None:
    await participants.leave()
    with pytest.raises(Unavailable):
        await participants.directory.find(BUYER)
    with pytest.raises(Unavailable):
        await tell(participants.notifier, str(uuid4()), BUYER)
    with pytest.raises(Unavailable):
        await participants.quarantine.block(str(uuid4()), RECALL_ID, [LOT_ID], "glass")
    assert participants.blocked() == {}
