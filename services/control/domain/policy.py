"""How calls to a service travel, and what the edge lets in: one typed policy for proxy and clients alike."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum


@dataclass(frozen=True, slots=True)
class VersionWeight:
    """Percent of the calls that go to one version."""

    version: str
    weight: int


@dataclass(frozen=True, slots=True)
class HeaderRoute:
    """Calls whose header has the value (x-user-role: among its values) go to the version."""

    header: str
    value: str
    version: str


class Balancing(StrEnum):
    """How an instance is chosen for a call."""

    ROUND_ROBIN = "round-robin"
    RING_HASH = "ring-hash"


@dataclass(frozen=True, slots=True)
class Retries:
    """Repeats of calls that may be repeated.

    Args:
        attempts: in all, 1 to 5; default 3.
        per_try_timeout: longest wait for one attempt, when there is time for another; default 2 s.
        budget_percent: retries in percent of the calls; default 20.
        backoff, max_backoff: wait before the first retry, and the longest; default 50 ms and 1 s.
    """

    attempts: int = 3
    per_try_timeout: timedelta = timedelta(seconds=2)
    budget_percent: int = 20
    backoff: timedelta = timedelta(milliseconds=50)
    max_backoff: timedelta = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Breaker:
    """A client's circuit breaker; the defaults are those of `TrafficPolicy` in the contract."""

    disabled: bool = False
    failure_percent: int = 50
    minimum_calls: int = 20
    consecutive_failures: int = 10
    window: timedelta = timedelta(seconds=10)
    reset: timedelta = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Outlier:
    """When an instance that answers badly is left alone for a while."""

    disabled: bool = False
    consecutive_errors: int = 3
    interval: timedelta = timedelta(seconds=30)
    ejection: timedelta = timedelta(seconds=30)
    failure_percent: int = 85
    max_ejection_percent: int = 50


@dataclass(frozen=True, slots=True)
class TrafficPolicy:
    """How calls to one service travel.

    Args:
        service: its name.
        weights: shares by version, which add up to 100; none sends calls to every instance alike.
        header_routes: looked at before the weights; the first that matches counts.
        balancing: default round robin.
        ring_size: least points on the ring of RING_HASH; default 1024.
        retries, breaker, outlier: see there.
        max_requests: calls at once from one client; None means the default, 1,000 (4,096 at the edge).
        timeout: of a call without a deadline inside the fleet; default 3 s.
    """

    service: str
    weights: tuple[VersionWeight, ...] = ()
    header_routes: tuple[HeaderRoute, ...] = ()
    balancing: Balancing = Balancing.ROUND_ROBIN
    ring_size: int = 1024
    retries: Retries = Retries()
    breaker: Breaker = Breaker()
    outlier: Outlier = Outlier()
    max_requests: int | None = None
    timeout: timedelta = timedelta(seconds=3)

    @property
    def versions(self) -> tuple[str, ...]:
        """Every version that the policy names, in its order."""
        named = [entry.version for entry in self.weights] + [entry.version for entry in self.header_routes]
        return tuple(dict.fromkeys(named))


@dataclass(frozen=True, slots=True)
class RateLimit:
    """Requests in a time, 0 for no limit."""

    requests: int
    per: timedelta


@dataclass(frozen=True, slots=True)
class EdgePolicy:
    """Limits of the edge.

    Args:
        anonymous: per address, of callers without a valid token; default 100 in 15 minutes.
        authenticated: per person; default 6,000 in 15 minutes.
        shared: whether all proxies count together, through control; default each for itself.
    """

    anonymous: RateLimit = RateLimit(100, timedelta(minutes=15))
    authenticated: RateLimit = RateLimit(6000, timedelta(minutes=15))
    shared: bool = False
