"""Another password."""

from chassis.clock import Clock
from chassis.context import Principal
from chassis.transactions import Transactions
from services.auth.application.ports import Accounts, Attempts, Logins, Passwords
from services.auth.application.verify import VerifyPassword, credentials_invalid
from services.auth.domain.logins import digest
from services.auth.domain.passwords import require_strong


class ChangePassword:
    """Replaces the password of its owner and ends the other logins."""

    def __init__(
        self,
        transactions: Transactions,
        verify: VerifyPassword,
        accounts: Accounts,
        passwords: Passwords,
        attempts: Attempts,
        logins: Logins,
        clock: Clock,
    ) -> None:
        self._transactions = transactions
        self._verify = verify
        self._accounts = accounts
        self._passwords = passwords
        self._attempts = attempts
        self._logins = logins
        self._clock = clock

    async def __call__(self, actor: Principal, current: str, new: str, keep: str = "") -> None:
        """Change it.

        Args:
            actor: the caller; a service has no password to change.
            current: the present password.
            new: the one to be.
            keep: refresh token of the login that goes on; default none, all end.

        Raises:
            Unauthenticated: CREDENTIALS_INVALID.
            ResourceExhausted: LOGIN_THROTTLED.
            InvalidArgument: PASSWORD_WEAK.
        """
        user_id = actor.subject
        known = await self._accounts.get(user_id) if actor.kind == "user" else None
        if known is None:
            raise credentials_invalid()
        account = await self._verify(known.email, current)
        require_strong(new, account.email)
        renewed = await self._passwords.hash(new)
        async with self._transactions.transaction():
            if not await self._accounts.set_password(user_id, renewed, instead_of=account.password_hash):
                raise credentials_invalid()
            await self._attempts.clear(account.email)
            await self._logins.revoke_all(user_id, self._clock.now(), but=await self._family(user_id, keep))

    async def _family(self, user_id: str, refresh_token: str) -> str | None:
        found = await self._logins.find(digest(refresh_token)) if refresh_token else None
        return found[0].family_id if found and found[0].user_id == user_id else None
