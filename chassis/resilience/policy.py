"""How calls to one service are made: what a client knows of its traffic policy."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When calls to a service are given up for a while; the defaults are those of `Breaker` in the contract.

    Args:
        disabled: never open; default False.
        failure_percent: of the calls in the window, at which it opens; default 50. See `Breaker` for moments.
        minimum_calls: in the window before the share counts; default 20.
        consecutive_failures: at which it opens whatever the share, those of one moment being one; default 10.
        window: how far back calls count; default 10 s.
        reset: how long it stays open until one call may try; default 30 s.
    """

    disabled: bool = False
    failure_percent: int = 50
    minimum_calls: int = 20
    consecutive_failures: int = 10
    window: timedelta = timedelta(seconds=10)
    reset: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """How calls to one service are made; the defaults are those of `TrafficPolicy` in the contract.

    Args:
        attempts: in all, of calls that may be repeated; 1 means none is. Default 3.
        per_try_timeout: longest wait for one attempt while there is time for another; default 2 s.
        budget_percent: retries in percent of the calls of the last 10 s, at least ten; default 20.
        backoff: wait before the first retry, doubled each time; a random part of it is waited. Default 50 ms.
        max_backoff: the longest; default 1 s.
        breaker: default its defaults.
        max_requests: calls under way at once; default 1,000.
        timeout: of a call whose maker names none; default 3 s.
    """

    attempts: int = 3
    per_try_timeout: timedelta = timedelta(seconds=2)
    budget_percent: int = 20
    backoff: timedelta = timedelta(milliseconds=50)
    max_backoff: timedelta = timedelta(seconds=1)
    breaker: BreakerPolicy = BreakerPolicy()
    max_requests: int = 1000
    timeout: timedelta = timedelta(seconds=3)
