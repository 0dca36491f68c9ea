"""Credentials for a person who is being registered: prepared, activated, revoked."""

from dataclasses import dataclass
from datetime import datetime

from chassis.clock import Clock
from chassis.errors import AlreadyExists, DomainError, FailedPrecondition
from chassis.transactions import Transactions
from services.auth.application.ports import (
    Accounts,
    Binding,
    Events,
    Logins,
    OpaqueTokens,
    Passwords,
    PreparedCredentials,
    Wallets,
)
from services.auth.domain.account import Account, Prepared
from services.auth.domain.events import RolesAssigned
from services.auth.domain.logins import Lifetimes, digest
from services.auth.domain.passwords import require_strong
from services.auth.domain.roles import require_self_service


@dataclass(frozen=True, slots=True, repr=False)
class Ticket:
    """Names prepared credentials."""

    value: str
    expires_at: datetime


class PrepareCredentials:
    """Hashes a password before anything is stored of its owner."""

    def __init__(
        self,
        accounts: Accounts,
        prepared: PreparedCredentials,
        passwords: Passwords,
        secrets: OpaqueTokens,
        clock: Clock,
        lifetimes: Lifetimes,
    ) -> None:
        self._accounts = accounts
        self._prepared = prepared
        self._passwords = passwords
        self._secrets = secrets
        self._clock = clock
        self._lifetimes = lifetimes

    async def __call__(self, email: str, password: str, role: str) -> Ticket:
        """The ticket for `ActivateCredentials`.

        Raises:
            InvalidArgument: PASSWORD_WEAK, ROLE_UNKNOWN.
            FailedPrecondition: ROLE_NOT_SELF_SERVICE.
            AlreadyExists: EMAIL_TAKEN.
        """
        require_self_service(role)
        require_strong(password, email)
        if await self._accounts.by_email(email) is not None:
            raise _email_taken()
        password_hash = await self._passwords.hash(password)
        ticket = Ticket(self._secrets.new(), self._clock.now() + self._lifetimes.ticket)
        await self._prepared.add(
            Prepared(digest(ticket.value), email, password_hash, role, ticket.expires_at)
        )
        return ticket


class ActivateCredentials:
    """Makes prepared credentials a user's."""

    def __init__(
        self,
        transactions: Transactions,
        accounts: Accounts,
        prepared: PreparedCredentials,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._accounts = accounts
        self._prepared = prepared
        self._events = events
        self._clock = clock

    async def __call__(self, user_id: str, ticket: str) -> Account:
        """The user's account; the same ticket again gives the same.

        Raises:
            AlreadyExists: EMAIL_TAKEN.
            FailedPrecondition: CREDENTIALS_REVOKED, TICKET_INVALID.
        """
        async with self._transactions.transaction():
            standing = await self._bind(user_id, digest(ticket))
            account = await self._accounts.get(user_id)
            if standing is Binding.DONE and account is not None:
                return account
            raise _refused(standing)

    async def _bind(self, user_id: str, ticket_digest: bytes) -> Binding:
        standing = await self._accounts.binding(user_id, ticket_digest)
        if standing is not Binding.NONE:
            return standing
        prepared = await self._prepared.take(ticket_digest, self._clock.now())
        if prepared is None:
            # A call beside this one may have taken it meanwhile, for the same user.
            return await self._accounts.binding(user_id, ticket_digest)
        account = Account(user_id, prepared.email, prepared.password_hash, (prepared.role,))
        standing = await self._accounts.bind(account, ticket_digest)
        if standing is Binding.DONE:
            await self._events.publish(RolesAssigned(user_id, account.roles))
        return standing


class RevokeCredentials:
    """Takes credentials away for good."""

    def __init__(
        self,
        transactions: Transactions,
        accounts: Accounts,
        wallets: Wallets,
        logins: Logins,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._accounts = accounts
        self._wallets = wallets
        self._logins = logins
        self._clock = clock

    async def __call__(self, user_id: str) -> None:
        """Revoke what the user has or would get, forget the wallets, and end all logins."""
        async with self._transactions.transaction():
            await self._accounts.revoke(user_id)
            await self._wallets.remove_all(user_id)
            await self._logins.revoke_all(user_id, self._clock.now())


def _email_taken() -> AlreadyExists:
    return AlreadyExists("EMAIL_TAKEN", "somebody has registered with this e-mail address")


def _refused(standing: Binding) -> DomainError:
    if standing is Binding.EMAIL_TAKEN:
        return _email_taken()
    if standing is Binding.REVOKED:
        return FailedPrecondition("CREDENTIALS_REVOKED", "the credentials of this user were revoked")
    return FailedPrecondition(
        "TICKET_INVALID",
        "the ticket has expired or was used, or the user has other credentials",
    )
