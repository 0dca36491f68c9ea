"""Registering a person: whole or not at all."""

import json
from dataclasses import dataclass
from hashlib import sha256

from chassis.clock import Clock
from chassis.crashpoints import crashpoint, declare
from chassis.errors import AlreadyExists, DeadlineExceeded, DomainError, InvalidArgument
from chassis.ids import IdSource
from chassis.saga import Refusal
from chassis.transactions import Transactions
from chassis.waiting import patience
from services.users.application.ports import Changes, Credentials, RegistrationSagas, Users
from services.users.domain.user import Preferences, State, User, clean_name

POLL_S = 0.5

REGISTER_CRASHPOINTS = ("users.register.prepared",)
"""Crash points: auth has the password, and nothing is stored of the person yet."""
declare(*REGISTER_CRASHPOINTS)

_TOLD_AS_IS: dict[str, type[DomainError]] = {"EMAIL_TAKEN": AlreadyExists, "PASSWORD_WEAK": InvalidArgument}


@dataclass(frozen=True, slots=True)
class Registration:
    """What a person asks for, without the password."""

    request_id: str
    email: str
    display_name: str
    role: str
    preferences: Preferences

    @property
    def digest(self) -> str:
        """Tells one request from another under the same id. The password is no part of it: whoever read
        the digest could try passwords on it."""
        wanted = self.preferences
        facts = [
            self.email,
            self.display_name,
            self.role,
            wanted.marketing_email,
            wanted.order_updates,
            wanted.language,
        ]
        return sha256(json.dumps(facts).encode()).hexdigest()


class Register:
    """The same request_id always leads to the same person; one that failed may be tried again."""

    def __init__(
        self,
        transactions: Transactions,
        users: Users,
        changes: Changes,
        credentials: Credentials,
        sagas: RegistrationSagas,
        clock: Clock,
        ids: IdSource,
    ) -> None:
        self._transactions = transactions
        self._users = users
        self._changes = changes
        self._credentials = credentials
        self._sagas = sagas
        self._clock = clock
        self._ids = ids

    async def __call__(self, asked: Registration, password: str) -> User:
        """Register and wait until the person is active; the welcome message is on its way then.

        Raises:
            AlreadyExists: EMAIL_TAKEN, REQUEST_ID_REUSED.
            InvalidArgument: PASSWORD_WEAK, VALIDATION_FAILED.
            Unavailable: REGISTRATION_FAILED, nothing is left of it.
            DeadlineExceeded: REGISTRATION_PENDING, the outcome is not known yet.
        """
        user = await self._users.of_request(asked.request_id)
        if user is None:
            user = await self._begin(asked, password)
        if user.request_hash != asked.digest:
            raise AlreadyExists("REQUEST_ID_REUSED", "the request_id was used for another registration")
        if user.state is State.PENDING:
            user = await self._await_end(user)
        return _answer(user)

    async def _begin(self, asked: Registration, password: str) -> User:
        name = clean_name(asked.display_name)
        # The password goes to auth before anything is stored, so that neither the saga nor a retry needs it.
        ticket = await self._credentials.prepare(asked.email, password, asked.role)
        crashpoint("users.register.prepared")
        now = self._clock.now()
        user = User(
            user_id=self._ids.uuid7(),
            email=asked.email,
            display_name=name,
            role=asked.role,
            preferences=asked.preferences,
            state=State.PENDING,
            created_at=now,
            updated_at=now,
            request_id=asked.request_id,
            request_hash=asked.digest,
        )
        async with self._transactions.transaction():
            if await self._users.add(user):
                await self._sagas.start(user.user_id, {"user_id": user.user_id, "ticket": ticket})
                return user
        other = await self._users.of_request(asked.request_id)
        if other is None:
            raise _email_taken()
        return other

    async def _await_end(self, user: User) -> User:
        until = self._clock.monotonic() + patience(self._clock).total_seconds()
        with self._changes.watch(user.user_id) as changed:
            while True:
                found = await self._users.get(user.user_id)
                if found is not None and found.state is not State.PENDING:
                    return found
                left_s = until - self._clock.monotonic()
                if left_s <= 0:
                    raise DeadlineExceeded(
                        "REGISTRATION_PENDING",
                        "the registration is under way; ask again with the same request_id",
                        metadata={"user_id": user.user_id},
                    )
                # The poll finds what another replica changed; the wake-up what this one did.
                await changed.wait(min(POLL_S, left_s))


def _answer(user: User) -> User:
    refusal = user.refusal
    if refusal is None:
        return user
    raise Refusal(refusal.reason, refusal.message).error(
        _TOLD_AS_IS,
        "REGISTRATION_FAILED",
        "the registration could not be completed and nothing is left of it; try again",
    )


def _email_taken() -> AlreadyExists:
    return AlreadyExists("EMAIL_TAKEN", "somebody has registered with this e-mail address")
