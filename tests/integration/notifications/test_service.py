"""The service behind its real server and interceptors, from a fact or a request to the mailbox."""

import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from google.type.money_pb2 import Money

from chassis.testing import eventually
from chassis.testing.service import ServiceUnderTest, TokenSigner, serve
from greenledger.crops.v1.events_pb2 import LotRecalled
from greenledger.notifications.v1 import notifications_pb2 as pb
from greenledger.notifications.v1.notifications_pb2_grpc import MailboxServiceStub, NotificationServiceStub
from greenledger.orders.v1.events_pb2 import OrderFailed, OrderFulfilled
from greenledger.payments.v1.events_pb2 import PaymentRefunded
from greenledger.users.v1.events_pb2 import UserDeleted, UserRegistered, UserUpdated
from greenledger.users.v1.users_pb2 import Preferences
from interceptors.testing import SignedChain, reason
from services.notifications.wiring import wire
from tests.integration.notifications.conftest import ADDRESS, ANN, MailServer

BOB = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
WANTS_ALL = Preferences(order_updates=True, marketing_email=True)


@pytest_asyncio.fixture
async def service(
    database_dsn: str, mail_server: MailServer, tmp_path: Path
) -> AsyncIterator[ServiceUnderTest]:
    signer = TokenSigner()
    given = {"smtp_url": mail_server.url, "mailbox_dir": tmp_path}
    async with serve("notifications", wire, SignedChain(signer), database_dsn, signer, **given) as running:
        yield running


@pytest.fixture
def stub(service: ServiceUnderTest) -> NotificationServiceStub:
    return NotificationServiceStub(service.channel)


@pytest.fixture
def crops(service: ServiceUnderTest):
    return service.signer.service("crops", "notifications.send")


async def register(service: ServiceUnderTest) -> None:
    await service.deliver(
        "user.registered", UserRegistered(user_id=ANN, email=ADDRESS, preferences=WANTS_ALL)
    )


def welcome(**changes: object) -> pb.SendNotificationRequest:
    facts = {"user_id": ANN, "template": "welcome", "parameters": {"display_name": "Ann"}}
    return pb.SendNotificationRequest(**({"request_id": str(uuid.uuid4())} | facts | changes))


async def test_a_request_becomes_a_message_once(service, stub, crops, mail_server):
    await register(service)
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
    ("crop.recalled", LotRecalled(lot_id="l1", owner_id=ANN, reason="salmonella")),
]
WORDS = {
    "order.fulfilled": "Total: 5 JPY",
    "order.failed": "out of stock",
    "payment.refunded": "5.07 USD",
    "crop.recalled": "salmonella",
}


@pytest.mark.parametrize(("topic", "fact"), FACTS, ids=[topic for topic, _ in FACTS])
async def test_people_are_told_of_a_fact_once(service, mail_server, topic, fact):
    await register(service)
    event_id = str(uuid.uuid4())
    for _ in range(2):
        await service.deliver(topic, fact, event_id=event_id)
    await eventually(lambda: mail_server.taken)
    count = await service.runtime.database.fetchval("SELECT count(*) FROM notification")
    ((recipients, message),) = mail_server.taken
    assert (count, recipients) == (1, [ADDRESS])
    assert WORDS[topic] in message.get_content()


async def test_news_of_a_person_changes_where_and_whether_they_are_told(service, mail_server):
    await register(service)
    moved = UserUpdated(user_id=ANN, email="new@example.org", preferences=Preferences(), revision=2)
    await service.deliver("user.updated", moved)
    for topic, fact in FACTS:
        await service.deliver(topic, fact)
    await eventually(lambda: len(mail_server.taken) == 2)
    assert {recipients[0] for recipients, _ in mail_server.taken} == {"new@example.org"}

    async def states() -> bool:
        rows = await service.runtime.database.fetch("SELECT state FROM notification")
        return sorted(row["state"] for row in rows) == ["SENT", "SENT", "SUPPRESSED", "SUPPRESSED"]

    await eventually(states)
    await service.deliver("user.deleted", UserDeleted(user_id=ANN))
    assert await service.runtime.database.fetchval("SELECT count(*) FROM contact WHERE email <> ''") == 0


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
        ({"parameters": {}}, "PARAMETER_MISSING"),
        ({"email": "a@b\r\nBcc: c@d"}, "VALIDATION_FAILED"),
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
