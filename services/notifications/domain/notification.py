"""A message to a person and what became of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.notifications.domain.template import Category

MAX_ATTEMPTS = 30
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=10)
"""With these a message is tried for about three and a half hours."""


class State(StrEnum):
    """SCHEDULED until one of the others."""

    SCHEDULED = "SCHEDULED"
    SENT = "SENT"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"


@dataclass(frozen=True, slots=True)
class Contact:
    """How a person may be reached, as users says at this moment. It is never stored."""

    user_id: str
    email: str
    display_name: str
    marketing_email: bool = False
    order_updates: bool = True

    def allows(self, category: Category) -> bool:
        """Whether the person wants messages of this kind."""
        if category is Category.MARKETING:
            return self.marketing_email
        return self.order_updates or category is not Category.ORDER_UPDATE


@dataclass(frozen=True, slots=True)
class Notification:
    """A message to one person.

    Args:
        source: what caused it (an event id, or a caller's request); the same cause is told once.
        subject: names nobody, so that the log may keep it.
        parameters: what the template's text needs besides the person's name; empty once it has ended.
        recall_id: the recall that it tells of; empty for any other message.
    """

    notification_id: str
    source: str
    user_id: str
    template: str
    category: Category
    subject: str
    created_at: datetime
    due_at: datetime
    parameters: Mapping[str, str] = field(default_factory=dict)
    state: State = State.SCHEDULED
    attempts: int = 0
    last_error: str = ""
    delivered_at: datetime | None = None
    recall_id: str = ""

    @property
    def outcome_is_news(self) -> bool:
        """Whether others hear of its end; of a recall also that somebody could not be told at all."""
        return self.state in (State.SENT, State.FAILED) or (
            self.state is State.SUPPRESSED and bool(self.recall_id)
        )

    def sent(self, at: datetime) -> "Notification":
        """The mail server took it."""
        return replace(self, state=State.SENT, delivered_at=at, last_error="")

    def suppressed(self, why: str) -> "Notification":
        """It must not be sent."""
        return replace(self, state=State.SUPPRESSED, last_error=why)

    def failed_once(self, error: str, at: datetime, *, permanent: bool) -> "Notification":
        """An attempt failed: due again later, or given up."""
        if permanent or self.attempts >= MAX_ATTEMPTS:
            return replace(self, state=State.FAILED, last_error=error)
        pause = min(FIRST_PAUSE * 2 ** (self.attempts - 1), LONGEST_PAUSE)
        return replace(self, due_at=at + pause, last_error=error)
