"""Send what is due."""

import asyncio
from datetime import timedelta

from chassis.clock import Clock
from chassis.transactions import Transactions
from services.notifications.application.ports import (
    Contacts,
    Events,
    Mail,
    MailRefused,
    MailUnavailable,
    Notifications,
)
from services.notifications.domain.notification import MAX_ATTEMPTS, Notification, State

LEASE = timedelta(seconds=30)
BATCH = 20


class DeliverNotifications:
    """At least once: a message whose attempt was cut short is sent again, under the same Message-ID."""

    def __init__(
        self,
        transactions: Transactions,
        notifications: Notifications,
        contacts: Contacts,
        mail: Mail,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._notifications = notifications
        self._contacts = contacts
        self._mail = mail
        self._events = events
        self._clock = clock

    async def __call__(self) -> int:
        """Try what is due; returns how many were tried."""
        due = await self._notifications.claim(self._clock.now(), LEASE, BATCH)
        # Side by side, so that a slow mail server does not keep the last of them past the lease. What one
        # raises is raised when all are done: to cancel the others would have them sent twice.
        for failure in await asyncio.gather(*map(self._deliver, due), return_exceptions=True):
            if failure is not None:
                raise failure
        return len(due)

    async def _deliver(self, notification: Notification) -> None:
        outcome = await self._attempt(notification)
        async with self._transactions.transaction():
            finished = await self._notifications.finish(outcome)
            if finished and outcome.state in (State.SENT, State.FAILED):
                await self._events.finished(outcome)

    async def _attempt(self, notification: Notification) -> Notification:
        contact = await self._contacts.get(notification.user_id)
        if contact is not None and not contact.allows(notification.category):
            return notification.suppressed("the person's preferences forbid it")
        address = notification.email or (contact.email if contact else "")
        if not address:
            return self._without_address(notification)
        try:
            await self._mail.send(
                notification.notification_id, address, notification.subject, notification.text
            )
        except MailRefused as refusal:
            return notification.failed_once(str(refusal), self._clock.now(), permanent=True)
        except MailUnavailable as trouble:
            return notification.failed_once(str(trouble), self._clock.now(), permanent=False)
        return notification.sent(self._clock.now())

    def _without_address(self, notification: Notification) -> Notification:
        # News of the person may still be on its way here.
        if notification.attempts >= MAX_ATTEMPTS // 2:
            return notification.suppressed("the person's address is not known")
        why = "the person's address is not known yet"
        return notification.failed_once(why, self._clock.now(), permanent=False)
