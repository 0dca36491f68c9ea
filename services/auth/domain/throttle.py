"""How failed logins slow down further ones for the same address."""

from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class Failures:
    """Failed attempts in a row."""

    count: int
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Throttle:
    """The pauses between attempts.

    Args:
        free: failures without a pause; default 5.
        first: pause after one more; default 1 s.
        ceiling: pauses double up to this; default 15 minutes.
        forgotten_after: failures longer ago than this no longer count; default 1 hour.
    """

    free: int = 5
    first: timedelta = timedelta(seconds=1)
    ceiling: timedelta = timedelta(minutes=15)
    forgotten_after: timedelta = timedelta(hours=1)

    def wait(self, failures: Failures | None, now: datetime) -> timedelta | None:
        """How long until the next attempt is looked at; None when at once."""
        if failures is None or failures.count <= self.free:
            return None
        # The exponent is bounded because a timedelta overflows.
        pause = min(self.first * 2 ** min(failures.count - self.free - 1, 20), self.ceiling)
        left = failures.last_at + pause - now
        return left if left > timedelta(0) else None
