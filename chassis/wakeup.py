"""Waking a polling loop early, inside one process."""

import asyncio


class Wakeup:
    """A flag that many may raise and one loop waits for.

    The loop still polls: a wake-up is a hint that makes it quick, the poll is what makes it right
    (another process may have written).
    """

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake the loop; several calls before it looks count once."""
        self._event.set()

    async def wait(self, timeout_s: float) -> bool:
        """Wait for `notify` or the time, in seconds; True when it was notified."""
        try:
            async with asyncio.timeout(timeout_s):
                await self._event.wait()
        except TimeoutError:
            return False
        self._event.clear()
        return True
