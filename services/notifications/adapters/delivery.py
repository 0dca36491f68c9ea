"""The loop that sends what is due."""

import structlog

from chassis.errors import DomainError
from chassis.wakeup import Wakeup
from services.notifications.application.deliver import DeliverNotifications

_POLL_S = 0.5
_log = structlog.get_logger(__name__)


class DeliveryLoop:
    """Runs until stopped; several replicas may.

    Args:
        deliver: does the work.
        wakeup: raised when something was scheduled here.
    """

    def __init__(self, deliver: DeliverNotifications, wakeup: Wakeup) -> None:
        self._deliver = deliver
        self._wakeup = wakeup
        self._stopping = False

    async def run(self) -> None:
        """Send what is due, round after round."""
        while not self._stopping:
            try:
                tried = await self._deliver()
            except DomainError as error:
                _log.warning("notifications.not_delivered", reason=error.reason)
                tried = 0
            if not tried:
                await self._wakeup.wait(_POLL_S)

    async def stop(self) -> None:
        """End after the round in hand."""
        self._stopping = True
        self._wakeup.notify()
