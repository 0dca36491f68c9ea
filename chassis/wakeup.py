"""Waking a polling loop early, inside one process."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


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


class Watchers:
    """Wakes those who wait for changes of one thing, such as an order, by its id.

    Args:
        most: watchers registered at a time, over all things; default 10 000. Whoever comes when there are
            so many is not woken and finds what changed by its poll: slower, not wrong.
    """

    def __init__(self, most: int = 10_000) -> None:
        self._most = most
        self._count = 0
        self._watchers: dict[str, set[Wakeup]] = {}

    @property
    def count(self) -> int:
        """Watchers that are registered now."""
        return self._count

    @contextmanager
    def watch(self, key: str) -> Iterator[Wakeup]:
        """A wake-up for changes of `key` from now on, until the end of the `with` statement."""
        wakeup = Wakeup()
        if self._count >= self._most:
            yield wakeup
            return
        self._watchers.setdefault(key, set()).add(wakeup)
        self._count += 1
        try:
            yield wakeup
        finally:
            self._count -= 1
            left = self._watchers[key]
            left.discard(wakeup)
            if not left:
                del self._watchers[key]

    def changed(self, key: str) -> None:
        """Wake who watches `key`; call it after the commit, or they read what was before."""
        for wakeup in self._watchers.get(key, ()):
            wakeup.notify()
