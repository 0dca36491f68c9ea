"""Tending the authority while the fleet runs."""

import asyncio
from collections.abc import Callable
from datetime import timedelta

from fleet.errors import FleetError
from fleet.trust.authority import Authority


class Renewal:
    """Looks after the authority in turns, until it is cancelled.

    Args:
        authority: of the fleet.
        leaf_life: of its certificates; they are looked at 20 times in it, and at least every 5 s.
        say: told what was done, and what went wrong.
    """

    def __init__(self, authority: Authority, leaf_life: timedelta, say: Callable[[str], None]) -> None:
        self._authority = authority
        self._interval_s = min(5.0, leaf_life.total_seconds() / 20)
        self._say = say

    async def run(self) -> None:
        """Tend, rest, tend; a failure is said once, and tried again."""
        failed = ""
        while True:
            try:
                for sentence in await asyncio.to_thread(self._authority.tend):
                    self._say(sentence)
                failed = ""
            except (FleetError, OSError, ValueError) as error:
                if str(error) != failed:
                    failed = str(error)
                    self._say(f"The certificates could not be renewed: {error}")
            await asyncio.sleep(self._interval_s)
