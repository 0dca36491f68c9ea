"""Tell each person of a recall, once."""

from collections.abc import Callable
from datetime import timedelta

from chassis.clock import Clock
from chassis.ids import IdSource
from services.notifications.application.ports import Notifications, VenueOwners
from services.notifications.application.schedule import ScheduleNotification
from services.notifications.domain import recall
from services.notifications.domain.notification import Notification
from services.notifications.domain.template import template

GATHERING = timedelta(seconds=3)
"""How long a message waits for further news of its recall for the same person."""


class TellOfRecall:
    """One message for each recall and person, for ever.

    What is news for somebody while their message still waits joins it. Of later news only those of an order
    reach them by mail, each as a message of its own: nothing else tells of that order and its money.
    """

    def __init__(
        self,
        notifications: Notifications,
        venues: VenueOwners,
        schedule: ScheduleNotification,
        clock: Clock,
        ids: IdSource,
        wake: Callable[[], None],
    ) -> None:
        self._notifications = notifications
        self._venues = venues
        self._schedule = schedule
        self._clock = clock
        self._ids = ids
        self._wake = wake

    async def guest(self, source: str, recall_id: str, user_id: str, order_id: str, line: str) -> None:
        """Tell a guest of an order, also when the recall's own message has gone out; once for each source."""
        if not await self.person(recall_id, user_id, line):
            parameters = {"order_id": order_id, "line": line}
            await self._schedule(source, user_id, recall.LATE_TEMPLATE, parameters)

    async def person(self, recall_id: str, user_id: str, line: str) -> bool:
        """Tell somebody; nobody has an empty id. False when their message had gone out before."""
        if not user_id:
            return True
        chosen, now = template(recall.TEMPLATE), self._clock.now()
        told = await self._notifications.add_of_recall(
            Notification(
                notification_id=self._ids.uuid7(),
                source=recall.source(recall_id),
                user_id=user_id,
                template=recall.TEMPLATE,
                category=chosen.category,
                subject=chosen.subject_with({}),
                created_at=now,
                due_at=now + GATHERING,
                parameters={"lines": line},
                recall_id=recall_id,
            )
        )
        self._wake()
        return told

    async def venue(self, recall_id: str, venue_id: str, line: str) -> None:
        """Tell a venue's owner, as soon as that is known."""
        if owner_id := await self._venues.owner(venue_id):
            await self.person(recall_id, owner_id, line)
        else:
            await self._venues.keep(venue_id, recall_id, line)

    async def venue_opened(self, venue_id: str, owner_id: str) -> None:
        """Learn who owns a venue, and tell them what has waited for it."""
        await self._venues.opened(venue_id, owner_id)
        for recall_id, line in await self._venues.kept(venue_id):
            await self.person(recall_id, owner_id, line)
