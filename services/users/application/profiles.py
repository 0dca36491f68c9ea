"""Reading, changing and closing profiles."""

from collections.abc import Sequence

from chassis.clock import Clock
from chassis.context import Principal
from chassis.errors import PermissionDenied
from chassis.transactions import Transactions
from services.users.application.ports import Events, Users
from services.users.domain.events import Deleted, Updated
from services.users.domain.user import Change, State, User, user_not_found

READ_ANY = "users.read"
WRITE_ANY = "users.write"


class ProfileQueries:
    """One's own profile, or anybody's with users.read."""

    def __init__(self, users: Users) -> None:
        self._users = users

    async def get(self, user_id: str, actor: Principal) -> User:
        """A profile; one that was closed is empty.

        Raises:
            PermissionDenied: NOT_OWNER.
            NotFound: USER_NOT_FOUND.
        """
        _require(user_id, actor, READ_ANY)
        user = await self._users.get(user_id)
        if user is None or user.state is State.FAILED:
            raise user_not_found()
        return user

    async def me(self, actor: Principal) -> User:
        """The caller's own.

        Raises:
            NotFound: USER_NOT_FOUND, the caller is a service or was made without a profile.
        """
        if actor.kind != "user":
            raise user_not_found()
        return await self.get(actor.subject, actor)

    async def page(self, role: str | None, before: str | None, limit: int) -> Sequence[User]:
        """Profiles with ids below `before`, newest first, at most `limit`."""
        return await self._users.page(role, before, limit)


class UpdateUser:
    """Changes a profile."""

    def __init__(self, transactions: Transactions, users: Users, events: Events, clock: Clock) -> None:
        self._transactions = transactions
        self._users = users
        self._events = events
        self._clock = clock

    async def __call__(self, user_id: str, change: Change, etag: str, actor: Principal) -> User:
        """The profile with the change.

        Raises:
            PermissionDenied: NOT_OWNER.
            NotFound: USER_NOT_FOUND.
            Aborted: ETAG_MISMATCH.
            InvalidArgument: UPDATE_MASK_INVALID, VALIDATION_FAILED.
            FailedPrecondition: REGISTRATION_PENDING.
        """
        _require(user_id, actor, WRITE_ANY)
        async with self._transactions.transaction():
            user = await self._users.get(user_id, lock=True)
            if user is None:
                raise user_not_found()
            user.require_etag(etag)
            changed = user.changed(change, self._clock.now())
            if changed is not user:
                await self._users.save(changed)
                await self._events.publish(Updated(changed))
        return changed


class DeleteUser:
    """Closes an account."""

    def __init__(self, transactions: Transactions, users: Users, events: Events, clock: Clock) -> None:
        self._transactions = transactions
        self._users = users
        self._events = events
        self._clock = clock

    async def __call__(self, user_id: str, etag: str, actor: Principal) -> None:
        """Empty the profile of personal data; auth hears of it and ends the logins.

        Raises:
            PermissionDenied: NOT_OWNER.
            NotFound: USER_NOT_FOUND, also when it was closed before.
            Aborted: ETAG_MISMATCH.
            FailedPrecondition: REGISTRATION_PENDING.
        """
        _require(user_id, actor, WRITE_ANY)
        async with self._transactions.transaction():
            user = await self._users.get(user_id, lock=True)
            if user is None:
                raise user_not_found()
            closed = user.deleted(self._clock.now())
            user.require_etag(etag)
            await self._users.save(closed)
            await self._events.publish(Deleted(closed))


def _require(user_id: str, actor: Principal, permission: str) -> None:
    if actor.subject != user_id and permission not in actor.permissions:
        raise PermissionDenied("NOT_OWNER", "this is somebody else's profile")
