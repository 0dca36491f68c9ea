"""A message to a person and what became of it."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from services.notifications.domain.template import Category

MAX_ATTEMPTS = 10
FIRST_PAUSE = timedelta(seconds=1)
LONGEST_PAUSE = timedelta(minutes=10)


class State(StrEnum):
    """SCHEDULED until one of the others."""

    SCHEDULED = "SCHEDULED"
    SENT = "SENT"
    FAILED = "FAILED"
    SUPPRESSED = "SUPPRESSED"


@dataclass(frozen=True, slots=True)
class Contact:
    """How a person may be reached, as users told it.

    Args:
        revision: of the profile; older news than this is late.
    """

    user_id: str
    email: str
    marketing_email: bool = False
    order_updates: bool = True
    revision: int = 0

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
        email: given by the sender; empty when the person's own address is to be used.
    """

    notification_id: str
    source: str
    user_id: str
    template: str
    category: Category
    email: str
    subject: str
    text: str
    created_at: datetime
    due_at: datetime
    state: State = State.SCHEDULED
    attempts: int = 0
    last_error: str = ""
    delivered_at: datetime | None = None

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
