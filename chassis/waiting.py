"""How long a call may wait for the outcome of what it has started."""

from datetime import timedelta

from chassis.clock import Clock
from chassis.context import current

LONGEST_WAIT = timedelta(seconds=30)
ANSWER_MARGIN = timedelta(milliseconds=250)


def patience(clock: Clock, longest: timedelta = LONGEST_WAIT) -> timedelta:
    """The time left to wait so that the caller still gets an answer, if only "not known yet".

    Args:
        clock: the one that the deadline of the context in force was made with.
        longest: the limit where the context has no deadline, or a later one; default 30 s.

    Returns:
        What is left of the caller's deadline less `ANSWER_MARGIN`; zero when it is over, never negative.
    """
    deadline = current().deadline
    if deadline is None:
        return longest
    left = timedelta(seconds=deadline - clock.monotonic()) - ANSWER_MARGIN
    return min(longest, max(left, timedelta()))
