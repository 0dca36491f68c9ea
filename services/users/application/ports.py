"""What the use cases need of the outside world."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any, Protocol

from services.users.domain.events import UserEvent
from services.users.domain.user import User


class Users(Protocol):
    """People, and their registrations."""

    async def add(self, user: User) -> bool:
        """Store a new one; False when the address or the request_id is in use."""
        ...

    async def get(self, user_id: str, *, lock: bool = False) -> User | None: ...

    async def of_request(self, request_id: str) -> User | None:
        """Whom a request registers or has registered; failed registrations are forgotten."""
        ...

    async def save(self, user: User) -> None: ...

    async def purge_failed(self, before: datetime, limit: int) -> int:
        """Delete registrations that failed before an instant, at most `limit`; returns how many."""
        ...

    async def page(self, role: str | None, before: str | None, limit: int) -> Sequence[User]:
        """People who are there or about to be, with ids below `before`, newest first."""
        ...


class Watcher(Protocol):
    """One who waits for changes of a user."""

    async def wait(self, timeout_s: float) -> bool:
        """Until the user may have changed, or the time in seconds; True when it may have."""
        ...


class Changes(Protocol):
    """Hears of users that this process changes."""

    def watch(self, user_id: str) -> AbstractContextManager[Watcher]: ...


class Credentials(Protocol):
    """The auth service."""

    async def prepare(self, email: str, password: str, role: str) -> str:
        """A ticket for the hashed password.

        Raises:
            InvalidArgument: PASSWORD_WEAK.
            AlreadyExists: EMAIL_TAKEN.
        """
        ...

    async def activate(self, key: str, user_id: str, ticket: str) -> None:
        """Make them the user's; idempotent by key.

        Raises:
            AlreadyExists: EMAIL_TAKEN.
            FailedPrecondition: CREDENTIALS_REVOKED, TICKET_INVALID.
        """
        ...

    async def revoke(self, key: str, user_id: str) -> None:
        """Take them away, also before they are there; idempotent by key."""
        ...


class Messages(Protocol):
    """The notifications service."""

    async def welcome(self, key: str, user_id: str) -> None:
        """Schedule the welcome message, for which we are asked name and address; idempotent by key."""
        ...


class Events(Protocol):
    """Tells others, in the running transaction."""

    async def publish(self, event: UserEvent) -> None: ...


class RegistrationSagas(Protocol):
    """Runs the registration saga."""

    async def start(self, user_id: str, data: Mapping[str, Any]) -> None:
        """Start it in the running transaction."""
        ...
