"""The service behind its real server and interceptors, from a fact or a request to the mailbox."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from google.protobuf.message import Message
from google.type.money_pb2 import Money

from chassis.testing import PostgresServer, eventually
from chassis.testing.service import ServiceUnderTest, TokenSigner, serve
from chassis.wakeup import Watchers
from greenledger.crops.v1.events_pb2 import LotRecalled
from greenledger.notifications.v1 import notifications_pb2 as pb
from greenledger.notifications.v1.notifications_pb2_grpc import MailboxServiceStub, NotificationServiceStub
from greenledger.orders.v1.events_pb2 import OrderFailed, OrderFulfilled
from greenledger.payments.v1.events_pb2 import PaymentRefunded
from greenledger.users.v1 import users_pb2
from greenledger.users.v1.events_pb2 import UserDeleted
from greenledger.users.v1.users_pb2_grpc import UserServiceStub
from interceptors.testing import SignedChain, reason
from services.auth.domain.roles import SERVICE_SCOPES
from services.notifications.wiring import wire
from services.users.adapters.db import PostgresUsers
from services.users.domain.user import Preferences, State, User
from services.users.wiring import wire as wire_users
from tests.integration.notifications.conftest import ADDRESS, ANN, MailServer

BOB = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
WANTS_ALL = Preferences(marketing_email=True, order_updates=True)


@pytest_asyncio.fixture
async def users(postgres_server: PostgresServer) -> AsyncIterator[ServiceUnderTest]:
    """The users service, for the people that it has."""
    signer = TokenSigner()
    peers = dict.fromkeys(("auth", "notifications"), "127.0.0.1:1")
    async with (
        postgres_server.database("users") as dsn,
        serve("users", wire_users, SignedChain(signer), dsn, signer, peers=peers, loops=False) as running,
    ):
        yield running


@pytest_asyncio.fixture
async def service(
    postgres_server: PostgresServer, mail_server: MailServer, users: ServiceUnderTest, tmp_path: Path
) -> AsyncIterator[ServiceUnderTest]:
    signer = TokenSigner()
    given = {"smtp_url": mail_server.url, "mailbox_dir": tmp_path, "peers": {"users": users.address}}
    chain = SignedChain(signer, SERVICE_SCOPES)
    async with (
        postgres_server.database("notifications") as dsn,
        serve("notifications", wire, chain, dsn, signer, **given) as running,
    ):
        yield running


@pytest.fixture
def stub(service: ServiceUnderTest) -> NotificationServiceStub:
    return NotificationServiceStub(service.channel)


@pytest.fixture
def crops(service: ServiceUnderTest):
    return service.signer.service("crops", "notifications.send")


async def register(users: ServiceUnderTest, preferences: Preferences = WANTS_ALL) -> None:
    """Ann is there."""
    now, store = datetime.now(UTC), PostgresUsers(users.runtime.database, Watchers())
    request_id = str(uuid.uuid4())
    assert await store.add(
        User(ANN, ADDRESS, "Ann", "guest", preferences, State.ACTIVE, now, now, request_id, "hash")
    )


async def call_as_ann(users: ServiceUnderTest, method: str, request: Message) -> None:
    stub = UserServiceStub(users.channel)
    await getattr(stub, method)(request, metadata=users.signer.user(ANN))


def welcome(**changes: object) -> pb.SendNotificationRequest:
    facts = {"user_id": ANN, "template": "welcome"}
    return pb.SendNotificationRequest(**({"request_id": str(uuid.uuid4())} | facts | changes))


async def test_a_request_becomes_a_message_once(service, users, stub, crops, mail_server):
    await register(users)
    request = welcome()
    first = await stub.SendNotification(request, metadata=crops)
    assert await stub.SendNotification(request, metadata=crops) == first
    await eventually(lambda: mail_server.taken)

    async def sent() -> pb.Notification | None:
        request = pb.GetNotificationRequest(notification_id=first.notification_id)
        found = await stub.GetNotification(request, metadata=service.signer.user(ANN))
        return found if found.state == pb.DELIVERY_STATE_SENT else None

    assert (await eventually(sent)).attempts == 1
    assert len(mail_server.taken) == 1
    assert len(await service.published("notification.sent")) == 1


FACTS = [
    (
        "order.fulfilled",
        OrderFulfilled(order_id="o1", guest_id=ANN, total=Money(currency_code="JPY", units=5)),
    ),
    ("order.failed", OrderFailed(order_id="o1", guest_id=ANN, reason="OUT_OF_STOCK")),
    (
        "payment.refunded",
        PaymentRefunded(
            order_id="o1", payer_id=ANN, amount=Money(currency_code="USD", units=5, nanos=70_000_000)
        ),
    ),
    ("crop.recalled", LotRecalled(lot_id="l1", owner_id=ANN, reason="salmonella", recall_id="r1")),
]
WORDS = {
    "order.fulfilled": "Total: 5 JPY",
    "order.failed": "out of stock",
    "payment.refunded": "5.07 USD",
    "crop.recalled": "salmonella",
}


@pytest.mark.parametrize(("topic", "fact"), FACTS, ids=[topic for topic, _ in FACTS])
async def test_people_are_told_of_a_fact_once(service, users, mail_server, topic, fact):
    await register(users)
    event_id = str(uuid.uuid4())
    for _ in range(2):
        await service.deliver(topic, fact, event_id=event_id)
    await eventually(lambda: mail_server.taken)
    count = await service.runtime.database.fetchval("SELECT count(*) FROM notification")
    ((recipients, message),) = mail_server.taken
    assert (count, recipients) == (1, [ADDRESS])
    assert WORDS[topic] in message.get_content()


async def test_what_a_person_wants_now_decides_whether_they_are_told(service, users, mail_server):
    await register(users, Preferences(order_updates=True))
    quiet = users_pb2.User(user_id=ANN, preferences=users_pb2.Preferences(language="en"))
    await call_as_ann(users, "UpdateUser", users_pb2.UpdateUserRequest(user=quiet))
    for topic, fact in FACTS:
        await service.deliver(topic, fact)
    await states_become(service, ["SENT", "SENT", "SUPPRESSED", "SUPPRESSED"])
    assert len(mail_server.taken) == 2


async def test_a_closed_account_is_told_nothing_and_leaves_no_trace_here(service, users, mail_server):
    await register(users)
    await service.deliver(*FACTS[0])
    await states_become(service, ["SENT"])
    await call_as_ann(users, "DeleteUser", users_pb2.DeleteUserRequest(user_id=ANN))
    await service.deliver(*FACTS[1])
    await states_become(service, ["SENT", "SUPPRESSED"])
    await service.deliver("user.deleted", UserDeleted(user_id=ANN))
    kept = "SELECT count(*) FROM notification n WHERE subject <> '' OR n::text LIKE '%example.org%'"
    assert await service.runtime.database.fetchval(kept) == 0
    assert len(mail_server.taken) == 1


async def states_become(service: ServiceUnderTest, wanted: list[str]) -> None:
    async def reached() -> bool:
        rows = await service.runtime.database.fetch("SELECT state FROM notification")
        return sorted(row["state"] for row in rows) == wanted

    await eventually(reached)


async def test_someone_elses_notifications_do_not_exist_but_an_operator_sees_them(service, stub, crops):
    made = await stub.SendNotification(welcome(), metadata=crops)
    one = pb.GetNotificationRequest(notification_id=made.notification_id)
    bob, operator = service.signer.user(BOB), service.signer.user(BOB, "notifications.read")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetNotification(one, metadata=bob)
    assert reason(caught.value) == "NOTIFICATION_NOT_FOUND"
    everyones, anns = pb.ListNotificationsRequest(), pb.ListNotificationsRequest(user_id=ANN)
    for request in (everyones, anns):
        assert not (await stub.ListNotifications(request, metadata=bob)).notifications
        assert len((await stub.ListNotifications(request, metadata=operator)).notifications) == 1
    mine = await stub.ListNotifications(anns, metadata=service.signer.user(ANN))
    assert [each.notification_id for each in mine.notifications] == [made.notification_id]


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"template": "nonsense"}, "TEMPLATE_UNKNOWN"),
        ({"template": "lot-transferred", "parameters": {"lot_code": "x"}}, "PARAMETER_MISSING"),
        ({"user_id": "17"}, "VALIDATION_FAILED"),
    ],
)
async def test_a_bad_request_is_refused_with_its_reason(stub, crops, changes, expected):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.SendNotification(welcome(**changes), metadata=crops)
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.INVALID_ARGUMENT, expected)


async def test_the_mailbox_is_read_in_pages_by_those_who_may(service, tmp_path: Path):
    (tmp_path / "new").mkdir()
    for number in range(3):
        (tmp_path / "new" / f"m{number}").write_bytes(b"Subject: Hello\r\n\r\nText\r\n")
    mailbox, reader = MailboxServiceStub(service.channel), "notifications.mailbox.read"
    metadata, seen, token = service.signer.user(BOB, reader), [], ""
    for _ in range(2):
        request = pb.ListMessagesRequest(page_size=2, page_token=token)
        page = await mailbox.ListMessages(request, metadata=metadata)
        seen, token = [*seen, *(message.message_id for message in page.messages)], page.next_page_token
    assert (sorted(seen), token) == (["m0", "m1", "m2"], "")
    one = await mailbox.GetMessage(pb.GetMessageRequest(message_id="m1"), metadata=metadata)
    assert one.text.strip() == "Text"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await mailbox.GetMessage(pb.GetMessageRequest(message_id="../new/m1"), metadata=metadata)
    assert reason(caught.value) == "MESSAGE_NOT_FOUND"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await mailbox.ListMessages(pb.ListMessagesRequest(), metadata=service.signer.user(BOB))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
