"""What the use cases need of the outside world."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from services.notifications.domain.notification import Contact, Notification, State


class Notifications(Protocol):
    """The delivery log."""

    async def add(self, notification: Notification) -> Notification:
        """Store it; gives the one that there is when its source has told this template already."""
        ...

    async def add_of_recall(self, notification: Notification) -> bool:
        """Store it, unless there is one of this recall and person: its lines join that one while it waits.

        False when that one was tried already, so that the lines are in no message.
        """
        ...

    async def get(self, notification_id: str) -> Notification | None: ...

    async def page(
        self, user_id: str | None, state: State | None, before: str | None, limit: int
    ) -> Sequence[Notification]:
        """Notifications with ids below `before`, newest first."""
        ...

    async def claim(self, at: datetime, lease: timedelta, limit: int) -> Sequence[Notification]:
        """Due ones, each counted as attempted and not due again before the lease ends."""
        ...

    async def finish(self, notification: Notification) -> bool:
        """Store what became of an attempt; False when it has ended already, or has failed and a later
        attempt is under way. What has ended keeps no parameters."""
        ...

    async def forget(self, user_id: str) -> None:
        """Suppress what is still to be sent to a person, and empty all that was written for them.

        A message of a recall is left to the delivery, which finds nobody and tells that.
        """
        ...


class VenueOwners(Protocol):
    """Who owns a venue, by ids, and what waits until that is known."""

    async def owner(self, venue_id: str) -> str:
        """Empty until it is known. Until the transaction ends nobody else learns it."""
        ...

    async def opened(self, venue_id: str, owner_id: str) -> None: ...

    async def keep(self, venue_id: str, recall_id: str, line: str) -> None:
        """Keep a line for the owner."""
        ...

    async def kept(self, venue_id: str) -> Sequence[tuple[str, str]]:
        """Recall and line of what was kept, which is forgotten by this."""
        ...


class Directory(Protocol):
    """The users service."""

    async def find(self, user_id: str) -> Contact | None:
        """A person as users has them now; None when there is no such person, or none any more.

        Raises:
            DomainError: it cannot be known now.
        """
        ...


class MailRefused(Exception):
    """The mail server will never take this message."""


class MailUnavailable(Exception):
    """The mail server could not be reached, or asks to try later."""


class Mail(Protocol):
    """Sends e-mail."""

    async def send(self, message_id: str, recipient: str, subject: str, text: str) -> None:
        """Hand a message to the mail server.

        Args:
            message_id: the same for every attempt, so that a receiver sees a repeat for what it is.

        Raises:
            MailRefused: for good. MailUnavailable: for now.
        """
        ...


@dataclass(frozen=True, slots=True)
class MailboxMessage:
    """A message that the development mail server received."""

    message_id: str
    sender: str
    recipients: tuple[str, ...]
    subject: str
    text: str
    received_at: datetime


class Mailbox(Protocol):
    """The development mailbox."""

    async def page(
        self, recipient: str | None, before: tuple[datetime, str] | None, limit: int
    ) -> Sequence[MailboxMessage]:
        """Messages older than `before` (time, id), newest first."""
        ...

    async def get(self, message_id: str) -> MailboxMessage | None: ...


class Events(Protocol):
    """Tells others, in the running transaction."""

    async def finished(self, notification: Notification) -> None:
        """It was sent, or given up."""
        ...
