"""Decide that a message is to be sent."""

from collections.abc import Callable, Mapping

from chassis.clock import Clock
from chassis.ids import IdSource
from services.notifications.application.ports import Notifications
from services.notifications.domain.notification import Notification
from services.notifications.domain.template import template


class ScheduleNotification:
    """Stores what a message needs; the delivery loop finds out the rest and sends it."""

    def __init__(
        self, notifications: Notifications, clock: Clock, ids: IdSource, wake: Callable[[], None]
    ) -> None:
        self._notifications = notifications
        self._clock = clock
        self._ids = ids
        self._wake = wake

    async def __call__(
        self, source: str, user_id: str, name: str, parameters: Mapping[str, str]
    ) -> Notification:
        """Schedule a template for a person; once for each source.

        Raises:
            InvalidArgument: TEMPLATE_UNKNOWN, PARAMETER_MISSING.
        """
        chosen = template(name)
        needed = chosen.needed(parameters)
        now = self._clock.now()
        stored = await self._notifications.add(
            Notification(
                notification_id=self._ids.uuid7(),
                source=source,
                user_id=user_id,
                template=name,
                category=chosen.category,
                subject=chosen.subject_with(needed),
                created_at=now,
                due_at=now,
                parameters=needed,
            )
        )
        self._wake()
        return stored
