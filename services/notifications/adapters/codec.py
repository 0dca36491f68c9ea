"""Protobuf to domain and back."""

from chassis.protobuf import timestamp_to_proto
from greenledger.notifications.v1 import notifications_pb2 as pb
from greenledger.users.v1 import users_pb2
from services.notifications.application.ports import MailboxMessage
from services.notifications.domain.notification import Contact, Notification, State

_STATES = {
    State.SCHEDULED: pb.DELIVERY_STATE_SCHEDULED,
    State.SENT: pb.DELIVERY_STATE_SENT,
    State.FAILED: pb.DELIVERY_STATE_FAILED,
    State.SUPPRESSED: pb.DELIVERY_STATE_SUPPRESSED,
}
_FROM_PROTO = {proto: state for state, proto in _STATES.items()}


def state_filter(state: "pb.DeliveryState.ValueType") -> State | None:
    """The state that a filter asks for; None for no filter."""
    return _FROM_PROTO.get(state)


def notification_to_proto(notification: Notification) -> pb.Notification:
    """A notification as the contract shows it."""
    proto = pb.Notification(
        notification_id=notification.notification_id,
        user_id=notification.user_id,
        template=notification.template,
        channel=pb.CHANNEL_EMAIL,
        state=_STATES[notification.state],
        subject=notification.subject,
        attempts=notification.attempts,
        last_error=notification.last_error,
        create_time=timestamp_to_proto(notification.created_at),
    )
    if notification.delivered_at is not None:
        proto.delivery_time.CopyFrom(timestamp_to_proto(notification.delivered_at))
    return proto


def message_to_proto(message: MailboxMessage) -> pb.MailboxMessage:
    """A received e-mail as the contract shows it."""
    return pb.MailboxMessage(
        message_id=message.message_id,
        sender=message.sender,
        recipients=message.recipients,
        subject=message.subject,
        text=message.text,
        receive_time=timestamp_to_proto(message.received_at),
    )


def contact_from_proto(user: users_pb2.User) -> Contact:
    """A person as users shows them."""
    wanted = user.preferences
    return Contact(user.user_id, user.email, user.display_name, wanted.marketing_email, wanted.order_updates)
