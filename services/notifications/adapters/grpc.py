"""NotificationService and MailboxService: decode, call the use case, encode."""

from datetime import datetime
from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.paging import PageTokens, page_size
from chassis.protobuf import id_from_proto
from greenledger.notifications.v1 import notifications_pb2 as pb
from greenledger.notifications.v1 import notifications_pb2_grpc
from services.notifications.adapters.codec import message_to_proto, notification_to_proto, state_filter
from services.notifications.application.queries import MailboxQueries, NotificationQueries
from services.notifications.application.schedule import ScheduleNotification

Context = grpc.aio.ServicerContext[Any, Any]


class NotificationServicer(notifications_pb2_grpc.NotificationServiceServicer):
    """The RPCs of notifications."""

    def __init__(
        self, schedule: ScheduleNotification, queries: NotificationQueries, page_tokens: PageTokens
    ) -> None:
        self._schedule = schedule
        self._queries = queries
        self._page_tokens = page_tokens

    async def SendNotification(
        self, request: pb.SendNotificationRequest, context: Context
    ) -> pb.Notification:
        source = f"{caller().subject}/{request.request_id}"
        return notification_to_proto(
            await self._schedule(
                source,
                id_from_proto(request.user_id, "user_id"),
                request.template,
                dict(request.parameters),
            )
        )

    async def GetNotification(self, request: pb.GetNotificationRequest, context: Context) -> pb.Notification:
        return notification_to_proto(await self._queries.get(request.notification_id, caller()))

    async def ListNotifications(
        self, request: pb.ListNotificationsRequest, context: Context
    ) -> pb.ListNotificationsResponse:
        actor, size = caller(), page_size(request.page_size)
        query = {
            "method": "ListNotifications",
            "actor": actor.subject,
            "user": request.user_id,
            "state": request.state,
        }
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._queries.page(
            actor,
            request.user_id or None,
            state_filter(request.state),
            cursor["before"] if cursor else None,
            size + 1,
        )
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.notification_id}, query)
        return pb.ListNotificationsResponse(
            notifications=map(notification_to_proto, page), next_page_token=token
        )


class MailboxServicer(notifications_pb2_grpc.MailboxServiceServicer):
    """The RPCs of the development mailbox."""

    def __init__(self, queries: MailboxQueries, page_tokens: PageTokens) -> None:
        self._queries = queries
        self._page_tokens = page_tokens

    async def ListMessages(
        self, request: pb.ListMessagesRequest, context: Context
    ) -> pb.ListMessagesResponse:
        size = page_size(request.page_size)
        query = {"method": "ListMessages", "recipient": request.recipient}
        cursor = self._page_tokens.decode(request.page_token, query)
        before = (datetime.fromisoformat(cursor["arrived"]), cursor["id"]) if cursor else None
        found = await self._queries.page(request.recipient or None, before, size + 1)
        page, token = self._page_tokens.cut(
            found,
            size,
            lambda last: {"arrived": last.received_at.isoformat(), "id": last.message_id},
            query,
        )
        return pb.ListMessagesResponse(messages=map(message_to_proto, page), next_page_token=token)

    async def GetMessage(self, request: pb.GetMessageRequest, context: Context) -> pb.MailboxMessage:
        return message_to_proto(await self._queries.get(request.message_id))
