"""One message for each recall and person, whatever reaches them of it and in which order."""

import asyncio
import random
from itertools import permutations
from typing import Any

import pytest
from google.protobuf.message import Message
from google.type.money_pb2 import Money

from chassis.ids import SystemIds
from chassis.testing.service import published, received
from greenledger.catalog.v1.events_pb2 import VenueCreated
from greenledger.crops.v1.events_pb2 import LotRecalled
from greenledger.inventory.v1.events_pb2 import StockQuarantined
from greenledger.notifications.v1.events_pb2 import NotificationFailed, NotificationSent
from greenledger.orders.v1.events_pb2 import OrderFailed, OrderRecalled
from greenledger.payments.v1.events_pb2 import PaymentRefunded
from services.notifications.adapters.db import PostgresVenueOwners
from services.notifications.adapters.kafka import Subscriptions
from services.notifications.adapters.recalls import recall_subscriptions
from services.notifications.application.tell_of_recall import GATHERING, TellOfRecall
from tests.integration.notifications.conftest import ANN, MailServer, Notifications

BOB = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
TWELVE = Money(currency_code="USD", units=12, nanos=500_000_000)
SERVED = OrderRecalled(order_id="o1", guest_id=ANN, recall_id="r1", served=True, refunded=TWELVE)
STOPPED = OrderRecalled(order_id="o2", guest_id=ANN, recall_id="r1")
LOT = LotRecalled(
    lot_id="l1", lot_code="ROM-1", owner_id=ANN, grower_id=BOB, reason="listeria", recall_id="r1"
)
STOCK = StockQuarantined(stock_item_id="s1", venue_id="v1", lot_id="l1", recall_id="r1")
VENUE = VenueCreated(venue_id="v1", owner_id=ANN, name="Bistro")
TOPICS = {
    OrderRecalled: "order.recalled",
    LotRecalled: "crop.recalled",
    StockQuarantined: "inventory.quarantined",
    VenueCreated: "catalog.venue-created",
    OrderFailed: "order.failed",
    PaymentRefunded: "payment.refunded",
}


async def hear(
    notifications: Notifications, *facts: Message, event_id: str = "", actor: str = "orders"
) -> None:
    """As the consumer delivers them."""
    owners = PostgresVenueOwners(notifications.database)
    schedule, clock = notifications.schedule, notifications.clock
    tell = TellOfRecall(notifications.store, owners, schedule, clock, SystemIds(), lambda: None)
    known = [*recall_subscriptions(tell), *Subscriptions(notifications.store, notifications.schedule).all()]
    handlers: dict[str, Any] = {entry.topic: entry.handler for entry in known}
    for fact in facts:
        topic = TOPICS[type(fact)]
        async with notifications.database.transaction() as tx:
            event = received(topic, fact, event_id=event_id)._replace(actor=actor)
            await handlers[topic](event, tx)


async def deliver(notifications: Notifications) -> None:
    notifications.clock.advance(GATHERING)
    while await notifications.deliver():
        pass


async def told(notifications: Notifications, mail_server: MailServer) -> list[str]:
    await deliver(notifications)
    return [message.get_content() for _, message in mail_server.taken]


async def test_a_guest_is_told_once_of_every_order_and_its_money(
    notifications: Notifications, mail_server: MailServer
) -> None:
    notifications.knows()
    await hear(notifications, SERVED, STOPPED)
    [text] = await told(notifications, mail_server)
    assert "Your order o1 was made of recalled goods" in text
    assert "We have given back 12.50 USD" in text
    assert "Your order o2 was stopped" in text
    assert "Nothing was charged" in text


async def test_who_was_told_is_not_told_again(notifications: Notifications, mail_server: MailServer) -> None:
    notifications.knows()
    await hear(notifications, SERVED)
    await deliver(notifications)
    await hear(notifications, LOT, VENUE, STOCK)
    assert len(await told(notifications, mail_server)) == 1
    other = OrderRecalled(order_id="o1", guest_id=ANN, recall_id="r2", served=True)
    await hear(notifications, other)
    assert len(await told(notifications, mail_server)) == 2


async def test_an_order_that_is_heard_of_late_is_told_once_in_a_message_of_its_own(
    notifications: Notifications, mail_server: MailServer
) -> None:
    notifications.knows()
    await hear(notifications, SERVED)
    await deliver(notifications)
    failed = OrderFailed(order_id="o2", guest_id=ANN, reason="LOT_RECALLED")
    await hear(notifications, failed, STOPPED)
    first, late = await told(notifications, mail_server)
    assert "order o1" in first
    assert "order o2" not in first
    assert "Your order o2 was stopped" in late
    assert "order o1" not in late
    sent = [NotificationSent.FromString(row) for row in await _payloads(notifications)]
    assert [(each.recall_id, each.template) for each in sent] == [("r1", "recall"), ("", "order-recalled")]


async def test_of_an_order_that_a_recall_did_not_affect_nobody_is_told(
    notifications: Notifications, mail_server: MailServer
) -> None:
    notifications.knows()
    await hear(notifications, OrderRecalled(order_id="o3", guest_id=ANN, recall_id="r1", unaffected=True))
    assert await told(notifications, mail_server) == []


async def test_a_late_order_that_is_delivered_again_is_not_told_again(
    notifications: Notifications, mail_server: MailServer
) -> None:
    notifications.knows()
    await hear(notifications, SERVED)
    await deliver(notifications)
    await hear(notifications, STOPPED, event_id="e1")
    await hear(notifications, STOPPED, event_id="e1")
    assert len(await told(notifications, mail_server)) == 2


async def test_a_person_with_several_parts_in_it_gets_one_message_of_all(
    notifications: Notifications, mail_server: MailServer
) -> None:
    notifications.knows()
    notifications.knows(BOB, "bob@example.org")
    await hear(notifications, VENUE, LOT, STOCK, STOPPED)
    texts = await told(notifications, mail_server)
    assert sorted(map(len, (recipients for recipients, _ in mail_server.taken))) == [1, 1]
    assert len(texts) == 2
    [anns] = [text for text in texts if "order o2" in text]
    assert "Lot ROM-1 (l1) is recalled: listeria" in anns
    assert "at your venue v1 is in quarantine" in anns
    sent = [NotificationSent.FromString(row) for row in await _payloads(notifications)]
    assert {(each.recall_id, each.template) for each in sent} == {("r1", "recall")}


@pytest.mark.parametrize("order", list(permutations([VENUE, STOCK])), ids=["venue first", "stock first"])
async def test_a_venues_owner_is_told_whichever_is_heard_first(
    notifications: Notifications, mail_server: MailServer, order: tuple[Message, ...]
) -> None:
    notifications.knows()
    await hear(notifications, *order)
    await hear(notifications, VENUE)
    [text] = await told(notifications, mail_server)
    assert "at your venue v1 is in quarantine" in text


async def test_a_venue_and_its_quarantine_that_are_heard_at_once_lose_nobody(
    notifications: Notifications, mail_server: MailServer
) -> None:
    notifications.knows()
    for number in range(10):
        venue = VenueCreated(venue_id=f"v{number}", owner_id=ANN)
        stock = StockQuarantined(venue_id=f"v{number}", lot_id="l1", recall_id=f"r{number}")
        facts = [venue, stock]
        random.Random(number).shuffle(facts)
        await asyncio.gather(*(hear(notifications, fact) for fact in facts))
    assert len(await told(notifications, mail_server)) == 10


async def test_the_same_person_told_by_many_at_once_gets_one_message(
    notifications: Notifications, mail_server: MailServer
) -> None:
    notifications.knows()
    lots = [LotRecalled(lot_id=f"l{n}", owner_id=ANN, reason="x", recall_id="r1") for n in range(8)]
    await asyncio.gather(*(hear(notifications, lot) for lot in lots))
    [text] = await told(notifications, mail_server)
    assert all(f"Lot l{n} is recalled" in text for n in range(8))


async def test_what_an_order_or_a_refund_says_of_a_recall_is_left_to_the_recall(
    notifications: Notifications, mail_server: MailServer
) -> None:
    notifications.knows()
    failed = OrderFailed(order_id="o1", guest_id=ANN, reason="LOT_RECALLED")
    refunded = PaymentRefunded(order_id="o1", payer_id=ANN, amount=TWELVE, reason="lot recalled")
    await hear(notifications, failed, refunded)
    assert await told(notifications, mail_server) == []
    await hear(notifications, refunded, actor="an operator")
    [text] = await told(notifications, mail_server)
    assert "We have given back 12.50 USD for your order o1" in text
    goodwill = PaymentRefunded(order_id="o1", payer_id=ANN, amount=TWELVE, reason="cold soup")
    await hear(notifications, goodwill)
    assert len(await told(notifications, mail_server)) == 2


async def test_that_somebody_cannot_be_told_is_said(notifications: Notifications) -> None:
    await hear(notifications, STOPPED)
    await notifications.store.forget(ANN)
    await deliver(notifications)
    [row] = await _payloads(notifications)
    failed = NotificationFailed.FromString(row)
    assert (failed.recall_id, failed.user_id) == ("r1", ANN)
    assert await notifications.topics() == ["failed"]


async def _payloads(notifications: Notifications) -> list[bytes]:
    events = []
    for topic in ("notification.sent", "notification.failed"):
        events += await published(notifications.database, topic)
    return [event.payload.value for event in events]
