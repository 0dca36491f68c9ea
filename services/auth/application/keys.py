"""Rotation of the signing keys with overlap."""

from datetime import timedelta

from chassis.clock import Clock
from chassis.logging import get_logger
from chassis.transactions import Transactions
from services.auth.application.ports import Keys
from services.auth.domain.keys import SigningKey, retirement, signer
from services.auth.domain.logins import Lifetimes

_log = get_logger(__name__)


class RotateSigningKey:
    """Makes a new key. It is published at once and signs after `lead`, when every verifier has it; the one
    before verifies until the last token that it signed has expired.

    Args:
        lead: time between publication and first use; longer than verifiers take to see a new key.
        age: a key older than this is replaced by `if_due`.
    """

    def __init__(
        self,
        transactions: Transactions,
        keys: Keys,
        clock: Clock,
        lifetimes: Lifetimes,
        lead: timedelta = timedelta(seconds=15),
        age: timedelta = timedelta(days=30),
    ) -> None:
        self._transactions = transactions
        self._keys = keys
        self._clock = clock
        self._lifetimes = lifetimes
        self._lead = lead
        self._age = age

    async def __call__(self) -> SigningKey:
        """Rotate now."""
        async with self._transactions.transaction():
            await self._keys.lock()
            return await self._rotate()

    async def if_due(self) -> None:
        """Rotate when there is no key that can sign, or the newest is too old."""
        async with self._transactions.transaction():
            await self._keys.lock()
            keys = await self._keys.usable()
            newest = max((key.created_at for key in keys), default=None)
            now = self._clock.now()
            if newest is None or signer(keys, now) is None or newest + self._age <= now:
                await self._rotate()

    async def _rotate(self) -> SigningKey:
        now = self._clock.now()
        # Nobody waits for the first key: without it there are no tokens at all.
        lead = self._lead if signer(await self._keys.usable(), now) else timedelta(0)
        key = await self._keys.generate(now, now + lead)
        await self._keys.retire_others(key.kid, retirement(key, self._lifetimes.longest_token, self._lead))
        _log.info("auth.signing_key_rotated", kid=key.kid, active_from=key.active_from.isoformat())
        return key
