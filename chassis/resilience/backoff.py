"""How long to wait before a call is tried again."""

from collections.abc import Callable
from datetime import timedelta

from chassis.resilience.policy import CallPolicy


def delay_s(
    policy: CallPolicy, retry: int, asked_for: timedelta | None, random: Callable[[], float]
) -> float:
    """Seconds before the next attempt.

    A random part of the exponential backoff, so that those who failed together do not come back together.
    What the callee asked for is waited in full, and the random part comes on top.

    Args:
        policy: backoff and its maximum.
        retry: number of the retry, from 1.
        asked_for: RetryInfo of the failure, if it had any.
        random: a number in [0, 1).

    Source: M. Brooker, Exponential Backoff and Jitter (full jitter).
    """
    longest_s = min(policy.max_backoff, policy.backoff * (1 << min(retry - 1, 30))).total_seconds()
    asked_s = asked_for.total_seconds() if asked_for is not None else 0.0
    return max(0.0, asked_s) + longest_s * random()
