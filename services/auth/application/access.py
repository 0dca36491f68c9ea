"""Roles and permissions of people."""

from collections.abc import Sequence

from chassis.context import Principal
from chassis.errors import NotFound, PermissionDenied
from chassis.transactions import Transactions
from services.auth.application.ports import Accounts, Events
from services.auth.domain.account import Account
from services.auth.domain.events import RolesAssigned
from services.auth.domain.roles import ROLES, Role, require_known

READ_ANY = "auth.access.read"


class AccessQueries:
    """What somebody may do."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def get(self, user_id: str, actor: Principal) -> Account:
        """The account of a user, for themselves and for who may read it.

        Raises:
            PermissionDenied: NOT_OWNER.
            NotFound: USER_UNKNOWN.
        """
        if actor.subject != user_id and READ_ANY not in actor.permissions:
            raise PermissionDenied("NOT_OWNER", "this is somebody else's access")
        account = await self._accounts.get(user_id)
        if account is None:
            raise user_unknown()
        return account

    def roles(self, after: str | None, limit: int) -> Sequence[Role]:
        """Roles with names above `after`, in ascending order."""
        return [ROLES[name] for name in sorted(ROLES) if after is None or name > after][:limit]


class SetRoles:
    """Replaces a user's roles."""

    def __init__(self, transactions: Transactions, accounts: Accounts, events: Events) -> None:
        self._transactions = transactions
        self._accounts = accounts
        self._events = events

    async def __call__(self, user_id: str, roles: Sequence[str]) -> Account:
        """The account with the roles; tokens already issued keep theirs.

        Raises:
            InvalidArgument: ROLE_UNKNOWN.
            NotFound: USER_UNKNOWN.
        """
        require_known(roles)
        chosen = tuple(sorted(set(roles)))
        async with self._transactions.transaction():
            before = await self._accounts.get(user_id, lock=True)
            if before is None:
                raise user_unknown()
            if before.roles != chosen:
                await self._accounts.set_roles(user_id, chosen)
                await self._events.publish(RolesAssigned(user_id, chosen))
        return Account(user_id, before.email, before.password_hash, chosen)


def user_unknown() -> NotFound:
    """Nobody whom auth knows."""
    return NotFound("USER_UNKNOWN", "there is no such user, or the user has no credentials")
