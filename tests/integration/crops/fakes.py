"""Other services in memory; they pass the suite of the real adapters (test_participants.py)."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from chassis.errors import AlreadyExists, DomainError, NotFound
from services.crops.application.ports import Person


@dataclass
class FakeDirectory:
    """The users service. `failure`, when set, is what it answers with."""

    people: dict[str, Person] = field(default_factory=dict)
    failure: DomainError | None = None
    asked: list[str] = field(default_factory=list)

    def add(self, user_id: str, display_name: str) -> None:
        self.people[user_id] = Person(user_id, display_name)

    async def find(self, user_id: str) -> Person | None:
        self.asked.append(user_id)
        if self.failure is not None:
            raise self.failure
        return self.people.get(user_id)


@dataclass
class FakeNotifier:
    """The notifications service: one message for each request_id."""

    known: set[str] = field(default_factory=set)
    sent: dict[str, tuple[str, str, str, str]] = field(default_factory=dict)
    failure: DomainError | None = None
    attempts: int = 0

    async def tell_of_transfer(
        self, request_id: str, user_id: str, *, lot_code: str, from_name: str, to_name: str
    ) -> None:
        self.attempts += 1
        if self.failure is not None:
            raise self.failure
        if user_id not in self.known:
            raise NotFound("USER_NOT_FOUND", "there is no such user")
        message = (user_id, lot_code, from_name, to_name)
        if self.sent.setdefault(request_id, message) != message:
            raise AlreadyExists("REQUEST_ID_REUSED", "the request_id was used for another message")


@dataclass
class FakeQuarantine:
    """The inventory service; blocks once for each recall and lot. `failure`, when set, is its answer."""

    blocked: dict[str, set[str]] = field(default_factory=dict)
    calls: list[tuple[str, str, tuple[str, ...]]] = field(default_factory=list)
    failure: DomainError | None = None

    async def block(self, request_id: str, recall_id: str, lot_ids: Sequence[str], reason: str) -> None:
        self.calls.append((request_id, recall_id, tuple(lot_ids)))
        if self.failure is not None:
            raise self.failure
        self.blocked.setdefault(recall_id, set()).update(lot_ids)
