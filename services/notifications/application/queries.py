"""Reading the delivery log and the development mailbox."""

from collections.abc import Sequence
from datetime import datetime

from chassis.context import Principal
from chassis.errors import FailedPrecondition, NotFound
from services.notifications.application.ports import Mailbox, MailboxMessage, Notifications
from services.notifications.domain.notification import Notification, State

READ_ALL = "notifications.read"


class NotificationQueries:
    """One's own notifications; everyone's with notifications.read."""

    def __init__(self, notifications: Notifications) -> None:
        self._notifications = notifications

    async def get(self, notification_id: str, actor: Principal) -> Notification:
        """One notification.

        Raises:
            NotFound: NOTIFICATION_NOT_FOUND, also for someone else's: its existence is private.
        """
        found = await self._notifications.get(notification_id)
        if found is None or (found.user_id != actor.subject and READ_ALL not in actor.permissions):
            raise NotFound("NOTIFICATION_NOT_FOUND", "there is no such notification")
        return found

    async def page(
        self, actor: Principal, user_id: str | None, state: State | None, before: str | None, limit: int
    ) -> Sequence[Notification]:
        """Notifications older than the id `before`, newest first, at most `limit`; of others none."""
        if READ_ALL not in actor.permissions:
            if user_id not in (None, actor.subject):
                return ()
            user_id = actor.subject
        return await self._notifications.page(user_id, state, before, limit)


class MailboxQueries:
    """What the development mail server received."""

    def __init__(self, mailbox: Mailbox | None) -> None:
        self._mailbox = mailbox

    async def page(
        self, recipient: str | None, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[MailboxMessage]:
        """Messages, newest first.

        Raises:
            FailedPrecondition: MAILBOX_DISABLED.
        """
        return await self._enabled().page(recipient, before, limit)

    async def get(self, message_id: str) -> MailboxMessage:
        """One message.

        Raises:
            NotFound: MESSAGE_NOT_FOUND.
            FailedPrecondition: MAILBOX_DISABLED.
        """
        found = await self._enabled().get(message_id)
        if found is None:
            raise NotFound("MESSAGE_NOT_FOUND", "there is no such message")
        return found

    def _enabled(self) -> Mailbox:
        if self._mailbox is None:
            raise FailedPrecondition("MAILBOX_DISABLED", "a real mail server is used; there is no mailbox")
        return self._mailbox
