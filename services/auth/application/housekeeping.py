"""What has to be done from time to time."""

from datetime import timedelta

from chassis.clock import Clock
from services.auth.application.keys import RotateSigningKey
from services.auth.application.ports import Attempts, Keys, Logins, PreparedCredentials, UsedNonces
from services.auth.domain.throttle import Throttle

_CLOCKS_APART = timedelta(minutes=10)
"""Another replica whose clock is late must not take a nonce that was used and then forgotten here."""


class KeepHouse:
    """Forgets what has expired, and replaces a signing key that has grown old."""

    def __init__(
        self,
        prepared: PreparedCredentials,
        logins: Logins,
        attempts: Attempts,
        nonces: UsedNonces,
        keys: Keys,
        rotate: RotateSigningKey,
        clock: Clock,
        throttle: Throttle,
    ) -> None:
        self._prepared = prepared
        self._logins = logins
        self._attempts = attempts
        self._nonces = nonces
        self._keys = keys
        self._rotate = rotate
        self._clock = clock
        self._throttle = throttle

    async def __call__(self) -> None:
        """Do it once."""
        now = self._clock.now()
        await self._rotate.if_due()
        await self._prepared.purge(now)
        await self._nonces.purge(now - _CLOCKS_APART)
        await self._logins.purge(now)
        await self._attempts.purge(now - self._throttle.forgotten_after)
        await self._keys.purge(now)
