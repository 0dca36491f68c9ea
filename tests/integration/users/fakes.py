"""The services that a registration needs, in memory, with the promises that theirs make."""

from chassis.errors import AlreadyExists, DomainError, FailedPrecondition, InvalidArgument
from chassis.ids import SystemIds


class FakeCredentials:
    """Auth: tickets, one address a person, tombstones; idempotent by key.

    Args of the attributes:
        troubles: errors that the next activations raise, first one first.
        lost: how many of the next activations take effect and are answered with a timeout.
    """

    def __init__(self) -> None:
        self.tickets: dict[str, str] = {}
        self.emails: dict[str, str] = {}
        self.revoked: set[str] = set()
        self.prepared = 0
        self.activations: list[str] = []
        self.troubles: list[DomainError] = []
        self.lost = 0

    async def prepare(self, email: str, password: str, role: str) -> str:
        if password == "password123":
            raise InvalidArgument("PASSWORD_WEAK", "the password is one of the most common")
        self.prepared += 1
        ticket = SystemIds().uuid7()
        self.tickets[ticket] = email.lower()
        return ticket

    async def activate(self, key: str, user_id: str, ticket: str) -> None:
        self.activations.append(key)
        if self.troubles:
            raise self.troubles.pop(0)
        if user_id in self.revoked:
            raise FailedPrecondition("CREDENTIALS_REVOKED", "the credentials of this user were revoked")
        email = self.tickets[ticket]
        if self.emails.get(email, user_id) != user_id:
            raise AlreadyExists("EMAIL_TAKEN", "somebody has registered with this e-mail address")
        self.emails[email] = user_id
        if self.lost:
            self.lost -= 1
            raise TimeoutError

    async def revoke(self, key: str, user_id: str) -> None:
        self.revoked.add(user_id)
        self.emails = {email: owner for email, owner in self.emails.items() if owner != user_id}


class FakeMessages:
    """Notifications: one message a key.

    Args of the attributes:
        troubles: errors that the next calls raise, first one first.
    """

    def __init__(self) -> None:
        self.sent: dict[str, str] = {}
        self.calls = 0
        self.troubles: list[DomainError] = []

    async def welcome(self, key: str, user_id: str) -> None:
        self.calls += 1
        if self.troubles:
            raise self.troubles.pop(0)
        self.sent[key] = user_id
