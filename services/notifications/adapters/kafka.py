"""What others do that people are told of, and what became of our messages."""

from typing import Any

from google.protobuf.message import Message
from google.type.money_pb2 import Money

from chassis.database import Database, Transaction
from chassis.inbox import ReceivedEvent, Subscription
from chassis.money import decimals
from chassis.outbox import Outbox, Publication
from chassis.protobuf import money_from_proto
from greenledger.notifications.v1 import events_pb2 as pb
from greenledger.orders.v1 import events_pb2 as orders_pb
from greenledger.payments.v1 import events_pb2 as payments_pb
from greenledger.users.v1 import events_pb2 as users_pb
from services.notifications.application.ports import Notifications
from services.notifications.application.schedule import ScheduleNotification
from services.notifications.domain.notification import Notification, State

RECALL_REFUND = ("orders", "lot recalled")
"""Who asks for refunds because of recalls, and with which reason; a person may give the same reason."""


class NotificationEvents:
    """Implements `Events`: publishes in the running transaction."""

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def finished(self, notification: Notification) -> None:
        ids = {
            "notification_id": notification.notification_id,
            "user_id": notification.user_id,
            "template": notification.template,
            "recall_id": notification.recall_id,
        }
        sent = notification.state is State.SENT
        payload: Message = (
            pb.NotificationSent(**ids)
            if sent
            else pb.NotificationFailed(**ids, error=notification.last_error)
        )
        topic = "notification.sent" if sent else "notification.failed"
        async with self._database.transaction() as tx:
            await self._outbox.publish(
                tx, [Publication(topic, notification.notification_id, payload, "notification")]
            )


class Subscriptions:
    """Schedules a message for each fact that people are told of, and forgets who has left."""

    def __init__(self, notifications: Notifications, schedule: ScheduleNotification) -> None:
        self._notifications = notifications
        self._schedule = schedule

    def all(self) -> list[Subscription[Any]]:
        """For the consumer."""
        return [
            Subscription("user.deleted", users_pb.UserDeleted, self.user_deleted),
            Subscription("order.fulfilled", orders_pb.OrderFulfilled, self.order_fulfilled),
            Subscription("order.failed", orders_pb.OrderFailed, self.order_failed),
            Subscription("payment.refunded", payments_pb.PaymentRefunded, self.payment_refunded),
        ]

    async def user_deleted(self, event: ReceivedEvent[users_pb.UserDeleted], _tx: Transaction) -> None:
        await self._notifications.forget(event.payload.user_id)

    async def order_fulfilled(self, event: ReceivedEvent[orders_pb.OrderFulfilled], _tx: Transaction) -> None:
        order = event.payload
        parameters = {"order_id": order.order_id, "total": amount_text(order.total)}
        await self._schedule(event.event_id, order.guest_id, "order-fulfilled", parameters)

    async def order_failed(self, event: ReceivedEvent[orders_pb.OrderFailed], _tx: Transaction) -> None:
        order = event.payload
        if order.reason == "LOT_RECALLED":
            return  # the guest hears of the recall, which says what became of the order
        reason = order.reason.lower().replace("_", " ")
        parameters = {"order_id": order.order_id, "reason": reason}
        await self._schedule(event.event_id, order.guest_id, "order-failed", parameters)

    async def payment_refunded(
        self, event: ReceivedEvent[payments_pb.PaymentRefunded], _tx: Transaction
    ) -> None:
        refund = event.payload
        if (event.actor, refund.reason) == RECALL_REFUND:
            return  # as above
        parameters = {"order_id": refund.order_id, "amount": amount_text(refund.amount)}
        await self._schedule(event.event_id, refund.payer_id, "payment-refunded", parameters)


def amount_text(proto: Money) -> str:
    """An amount for people."""
    money = money_from_proto(proto)
    places = decimals(money.currency)
    units, minor = divmod(money.minor, 10**places)
    return f"{units}.{minor:0{places}d} {money.currency}" if places else f"{units} {money.currency}"
