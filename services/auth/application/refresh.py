"""From a refresh token to the next ones."""

from chassis.clock import Clock
from chassis.errors import Unauthenticated
from chassis.logging import get_logger
from chassis.transactions import Transactions
from services.auth.application.ports import Accounts, Events, Logins
from services.auth.application.tokens import TokenMaker, TokenPair
from services.auth.domain.events import TokenReuseDetected
from services.auth.domain.logins import Login, Verdict, digest, judge

_log = get_logger(__name__)


class Refresh:
    """Exchanges each refresh token once; the second time ends the whole login."""

    def __init__(
        self,
        transactions: Transactions,
        accounts: Accounts,
        logins: Logins,
        tokens: TokenMaker,
        events: Events,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._accounts = accounts
        self._logins = logins
        self._tokens = tokens
        self._events = events
        self._clock = clock

    async def __call__(self, refresh_token: str) -> TokenPair:
        """The next tokens of the login.

        Raises:
            Unauthenticated: REFRESH_TOKEN_INVALID, REFRESH_TOKEN_REUSED.
        """
        # What the transaction finds is raised after it: a revocation has to be committed.
        async with self._transactions.transaction():
            outcome = await self._exchange(digest(refresh_token))
        if isinstance(outcome, TokenPair):
            return outcome
        if outcome is Verdict.REUSED:
            raise Unauthenticated(
                "REFRESH_TOKEN_REUSED", "the refresh token was used before; its login has ended"
            )
        raise Unauthenticated("REFRESH_TOKEN_INVALID", "the refresh token is not valid; log in again")

    async def _exchange(self, token_digest: bytes) -> TokenPair | Verdict:
        found = await self._logins.find(token_digest)
        if found is None:
            return Verdict.INVALID
        login, token = found
        now = self._clock.now()
        verdict = judge(login, token, now)
        if verdict is Verdict.REUSED:
            await self._end(login)
        if verdict is not Verdict.GOOD:
            return verdict
        account = await self._accounts.get(login.user_id)
        if account is None:
            return Verdict.INVALID
        await self._logins.used(token_digest, now)
        return await self._tokens.next(account, login)

    async def _end(self, login: Login) -> None:
        if login.revoked_at is not None:
            return
        _log.warning("auth.refresh_reused", user_id=login.user_id, family_id=login.family_id)
        await self._logins.revoke(login.family_id, self._clock.now())
        await self._events.publish(TokenReuseDetected(login.user_id, login.family_id))


class LogOut:
    """Ends the login of a refresh token."""

    def __init__(self, transactions: Transactions, logins: Logins, clock: Clock) -> None:
        self._transactions = transactions
        self._logins = logins
        self._clock = clock

    async def __call__(self, refresh_token: str) -> None:
        """End it; a token that is not known has no login to end."""
        async with self._transactions.transaction():
            found = await self._logins.find(digest(refresh_token))
            if found is not None:
                await self._logins.revoke(found[0].family_id, self._clock.now())
