"""Checking a password without helping who guesses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from chassis.clock import Clock
from chassis.errors import ResourceExhausted, Unauthenticated
from chassis.logging import get_logger
from services.auth.application.ports import Accounts, Attempts, Passwords
from services.auth.domain.account import Account
from services.auth.domain.throttle import Throttle

_log = get_logger(__name__)


class VerifyPassword:
    """Slows down repeated failures; says the same, as late, for an address that is nobody's."""

    def __init__(
        self,
        accounts: Accounts,
        passwords: Passwords,
        attempts: Attempts,
        clock: Clock,
        throttle: Throttle,
    ) -> None:
        self._accounts = accounts
        self._passwords = passwords
        self._attempts = attempts
        self._clock = clock
        self._throttle = throttle
        self._turns = Turns()

    async def __call__(self, email: str, password: str) -> Account:
        """The account of an address and its password.

        Raises:
            Unauthenticated: CREDENTIALS_INVALID.
            ResourceExhausted: LOGIN_THROTTLED, with the time to wait.
        """
        # One at a time, so that guesses made together do not all pass before the first has failed.
        async with self._turns.of(email.lower()):
            await self._require_pause(email)
            account = await self._accounts.by_email(email)
            right = await self._passwords.verify(account.password_hash if account else None, password)
            if account is None or not right:
                now = self._clock.now()
                await self._attempts.failed(email, now, now - self._throttle.forgotten_after)
                raise credentials_invalid()
            return account

    async def _require_pause(self, email: str) -> None:
        now = self._clock.now()
        failures = await self._attempts.failures(email, now - self._throttle.forgotten_after)
        wait = self._throttle.wait(failures, now)
        if wait is not None:
            _log.warning("auth.login_throttled", failures=failures.count if failures else 0)
            raise ResourceExhausted(
                "LOGIN_THROTTLED", "too many failed logins for this address; wait a little", retry_after=wait
            )


class Turns:
    """Lets those with the same key pass one after the other, in this process."""

    def __init__(self) -> None:
        self._locks: dict[str, asyncio.Lock] = {}
        self._waiting: dict[str, int] = {}

    @asynccontextmanager
    async def of(self, key: str) -> AsyncIterator[None]:
        """Wait for one's turn and have it for the body of the `with` statement."""
        lock = self._locks.setdefault(key, asyncio.Lock())
        self._waiting[key] = self._waiting.get(key, 0) + 1
        try:
            async with lock:
                yield
        finally:
            self._waiting[key] -= 1
            if not self._waiting[key]:
                del self._waiting[key], self._locks[key]


def credentials_invalid() -> Unauthenticated:
    """One answer for every cause."""
    return Unauthenticated("CREDENTIALS_INVALID", "e-mail address or password is wrong")
