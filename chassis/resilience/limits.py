"""What bounds the calls to one callee: how many at once, and how many retries on top."""

from datetime import timedelta

from chassis.clock import Clock
from chassis.resilience.window import Window

LEAST_RETRIES = 10
"""Retries in 10 s that are allowed however few calls are: of rare calls a share would forbid all."""


class Bulkhead:
    """Calls under way to one callee; the next beyond the limit is refused at once instead of waiting.

    A dependency that has become slow then holds so many of its caller's calls and no more.

    Args:
        limit: calls at once.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.under_way = 0

    def enter(self) -> bool:
        """Count a call that begins; False, and nothing counted, when there is no room."""
        if self.under_way >= self.limit:
            return False
        self.under_way += 1
        return True

    def leave(self) -> None:
        """Count a call that has ended."""
        self.under_way -= 1


class RetryBudget:
    """Retries as a share of the calls of the last seconds, and a few of them however rare the calls are.

    What fails for everybody is then called a little more often than if nobody retried, not three times as
    often; that holds for a caller with one call after the other as for a thousand at once. All calls count,
    also those that were answered: so when an instance dies and half of the calls fail at one moment, each of
    them may be repeated at another one, since few were before.

    Args:
        percent: of the calls, 1 to 100.
        clock: monotonic time.
        window: how far back calls and retries count, give or take a tenth of it; default 10 s.
        least: retries within the window that are allowed whatever the share; default `LEAST_RETRIES`.

    Source: the retry budget of Finagle (`com.twitter.finagle.service.RetryBudget`), which adds its least to
    the share; here the larger one of the two holds.
    """

    def __init__(
        self,
        percent: int,
        clock: Clock,
        window: timedelta = timedelta(seconds=10),
        least: int = LEAST_RETRIES,
    ) -> None:
        self.percent = percent
        self._least = least
        self._lately = Window(clock, window)

    def called(self) -> None:
        """Count a call, once, whatever its attempts."""
        self._lately.add(1, 0)

    def take(self) -> bool:
        """Begin a retry; False, and nothing counted, when the budget is spent."""
        calls, retries = self._lately.totals()
        wanted = retries + 1
        if wanted > self._least and wanted * 100 > self.percent * calls:  # exact in integers
            return False
        self._lately.add(0, 1)
        return True
