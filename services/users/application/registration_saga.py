"""The registration saga (mission D5): create user -> create credentials -> activate -> welcome message.

The user is created, PENDING, in the transaction that starts the saga. Until the activation every failure
takes the credentials back and frees the address. After it the person is registered, and only the message
is outstanding. The saga's data hold no personal data: the steps read them from the user.
"""

from datetime import timedelta

from chassis.clock import Clock
from chassis.errors import DomainError
from chassis.logging import get_logger
from chassis.saga import FOREVER, Retry, Saga, Step, StepContext
from chassis.saga.outcomes import REFUSALS
from services.users.application.ports import Credentials, Events, Messages, Users
from services.users.domain.events import Registered
from services.users.domain.user import Refusal, State, User, user_not_found

NAME = "register_user"
_log = get_logger(__name__)


class RegistrationSteps:
    """The saga's actions."""

    def __init__(
        self, users: Users, credentials: Credentials, messages: Messages, events: Events, clock: Clock
    ) -> None:
        self._users = users
        self._credentials = credentials
        self._messages = messages
        self._events = events
        self._clock = clock

    def saga(self) -> Saga:
        """The definition."""
        quick = Retry(attempts=5, first=timedelta(milliseconds=100), ceiling=timedelta(seconds=2))
        return Saga(
            NAME,
            version=1,
            # Shorter than the life of a ticket, after which it could not succeed any more.
            deadline=timedelta(minutes=5),
            steps=(
                Step("create_credentials", self.create_credentials, undo=self.revoke, retry=quick),
                Step("activate", self.activate, pivot=True, local=True),
                Step("welcome", self.welcome, retry=FOREVER),
            ),
            on_failed=Step("fail", self.fail, local=True),
            hidden=frozenset({"ticket"}),
        )

    async def create_credentials(self, ctx: StepContext) -> None:
        await self._credentials.activate(ctx.idempotency_key, ctx.data["user_id"], ctx.data["ticket"])

    async def revoke(self, ctx: StepContext) -> None:
        await self._credentials.revoke(ctx.idempotency_key, ctx.data["user_id"])

    async def activate(self, ctx: StepContext) -> None:
        active = (await self._locked(ctx)).activated(self._clock.now())
        await self._users.save(active)
        await self._events.publish(Registered(active))

    async def welcome(self, ctx: StepContext) -> None:
        user = await self._users.get(ctx.data["user_id"])
        if user is None or user.state is not State.ACTIVE:
            return  # closed meanwhile: there is nobody to welcome
        try:
            await self._messages.welcome(ctx.idempotency_key, user.user_id)
        except REFUSALS as refusal:
            # The person is registered all the same; asking again would get the same answer.
            reason = refusal.reason if isinstance(refusal, DomainError) else ""
            _log.warning("users.welcome_refused", user_id=user.user_id, reason=reason)

    async def fail(self, ctx: StepContext) -> None:
        user = await self._locked(ctx)
        failure = ctx.failure
        refusal = Refusal(failure.reason, failure.message) if failure else Refusal("REGISTRATION_FAILED", "")
        if user.state is State.PENDING:
            await self._users.save(user.failed(refusal, self._clock.now()))

    async def _locked(self, ctx: StepContext) -> User:
        user = await self._users.get(ctx.data["user_id"], lock=True)
        if user is None:
            raise user_not_found()
        return user
