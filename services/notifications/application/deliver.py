"""Send what is due."""

import asyncio
from datetime import timedelta

from chassis.clock import Clock
from chassis.crashpoints import crashpoint, declare
from chassis.errors import DomainError
from chassis.transactions import Transactions
from services.notifications.application.ports import (
    Directory,
    Events,
    Mail,
    MailRefused,
    MailUnavailable,
    Notifications,
)
from services.notifications.domain.notification import Notification
from services.notifications.domain.template import template

LEASE = timedelta(seconds=30)
BATCH = 20

DELIVERY_CRASHPOINTS = ("notifications.deliver.addressed", "notifications.deliver.sent")
"""Crash points: users has told the address; the mail server has taken the message, which is not stored."""
declare(*DELIVERY_CRASHPOINTS)


class DeliverNotifications:
    """At least once: a message whose attempt was cut short is sent again, under the same Message-ID."""

    def __init__(
        self,
        transactions: Transactions,
        notifications: Notifications,
        directory: Directory,
        mail: Mail,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._notifications = notifications
        self._directory = directory
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
            if finished and outcome.outcome_is_news:
                await self._events.finished(outcome)

    async def _attempt(self, notification: Notification) -> Notification:
        # Outside any transaction: neither users nor the mail server may hold a connection of ours.
        try:
            contact = await self._directory.find(notification.user_id)
            text = template(notification.template)
        except DomainError as trouble:
            why = f"it could not be addressed: {trouble.reason}"
            return notification.failed_once(why, self._clock.now(), permanent=False)
        crashpoint("notifications.deliver.addressed")
        if contact is None:
            return notification.suppressed("there is no such person, or none any more")
        if not contact.allows(notification.category):
            return notification.suppressed("the person's preferences forbid it")
        try:
            await self._mail.send(
                notification.notification_id,
                contact.email,
                notification.subject,
                text.text_with(notification.parameters, contact.display_name),
            )
        except MailRefused as refusal:
            return notification.failed_once(str(refusal), self._clock.now(), permanent=True)
        except MailUnavailable as trouble:
            return notification.failed_once(str(trouble), self._clock.now(), permanent=False)
        crashpoint("notifications.deliver.sent")
        return notification.sent(self._clock.now())
