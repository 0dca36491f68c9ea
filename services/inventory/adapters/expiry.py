"""The loop that gives expired reservations back."""

from datetime import timedelta

import structlog

from chassis.errors import DomainError
from chassis.wakeup import Wakeup
from services.inventory.application.reserve import ReservationCommands

_log = structlog.get_logger(__name__)


class ExpiryLoop:
    """Runs until stopped; several replicas may.

    Args:
        reservations: does the work.
        interval: between two looks.
    """

    def __init__(self, reservations: ReservationCommands, interval: timedelta) -> None:
        self._reservations = reservations
        self._interval_s = interval.total_seconds()
        self._wakeup = Wakeup()
        self._stopping = False

    async def run(self) -> None:
        """Give back what ran out, round after round."""
        while not self._stopping:
            try:
                expired = await self._reservations.expire()
            except DomainError as error:
                _log.warning("reservations.not_expired", reason=error.reason)
                expired = 0
            if not expired:
                await self._wakeup.wait(self._interval_s)

    async def stop(self) -> None:
        """End after the round in hand."""
        self._stopping = True
        self._wakeup.notify()
