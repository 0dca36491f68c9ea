"""Making tokens."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from chassis.clock import Clock
from chassis.ids import IdSource
from services.auth.application.ports import Keys, Logins, OpaqueTokens
from services.auth.domain.account import Account
from services.auth.domain.claims import service_claims, user_claims
from services.auth.domain.logins import Lifetimes, Login, RefreshToken, digest
from services.auth.domain.roles import permissions_of, scopes_of


@dataclass(frozen=True, slots=True, repr=False)
class TokenPair:
    """What a person gets for logging in."""

    user_id: str
    access_token: str
    expires_in: timedelta
    refresh_token: str
    refresh_expires_at: datetime


@dataclass(frozen=True, slots=True, repr=False)
class ServiceToken:
    """What a service gets for its secret."""

    value: str
    expires_at: datetime


class TokenMaker:
    """Signs access tokens and continues logins."""

    def __init__(
        self,
        keys: Keys,
        logins: Logins,
        secrets: OpaqueTokens,
        clock: Clock,
        ids: IdSource,
        lifetimes: Lifetimes,
    ) -> None:
        self._keys = keys
        self._logins = logins
        self._secrets = secrets
        self._clock = clock
        self._ids = ids
        self._lifetimes = lifetimes

    async def begin(self, account: Account, *, wallet_id: str | None = None) -> TokenPair:
        """A new login, in the running transaction.

        Args:
            wallet_id: wallet that signed in; default none, for a password.
        """
        now = self._clock.now()
        expires_at = now + self._lifetimes.login
        login = Login(self._ids.uuid7(), account.user_id, now, expires_at, wallet_id=wallet_id)
        await self._logins.add(login)
        return await self.next(account, login)

    async def next(self, account: Account, login: Login) -> TokenPair:
        """The next tokens of a login, in the running transaction."""
        now = self._clock.now()
        refresh = self._secrets.new()
        expires_at = min(now + self._lifetimes.refresh_token, login.expires_at)
        await self._logins.add_token(RefreshToken(digest(refresh), login.family_id, expires_at))
        life = self._lifetimes.access_token
        claims = user_claims(
            account.user_id, account.roles, permissions_of(account.roles), now, now + life, self._ids.uuid7()
        )
        return TokenPair(account.user_id, await self._keys.sign(claims), life, refresh, expires_at)

    async def for_service(self, service: str) -> ServiceToken:
        """A token with the service's permissions."""
        now = self._clock.now()
        expires_at = now + self._lifetimes.service_token
        claims = service_claims(service, scopes_of(service), now, expires_at, self._ids.uuid7())
        return ServiceToken(await self._keys.sign(claims), expires_at)
