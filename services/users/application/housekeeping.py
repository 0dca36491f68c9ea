"""What has to be done from time to time."""

from datetime import timedelta

from chassis.clock import Clock
from services.users.application.ports import Users

KEPT = timedelta(days=7)
BATCH = 1000


class ForgetFailedRegistrations:
    """Deletes registrations that came to nothing.

    Their rows were emptied when they failed; for `KEPT` they still say why, to whoever asks.
    """

    def __init__(self, users: Users, clock: Clock) -> None:
        self._users = users
        self._clock = clock

    async def __call__(self) -> bool:
        """Do it once; whether there may be more."""
        return await self._users.purge_failed(self._clock.now() - KEPT, BATCH) == BATCH
