"""Requests counted per client and window, in Valkey for all replicas or in one process."""

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, cast

import structlog
import valkey.asyncio as valkey
from valkey.exceptions import ValkeyError

from services.control.adapters.xds import metrics
from services.control.domain.policy import RateLimit

_log = structlog.get_logger(__name__)

# One round trip, and atomic: whoever asks when too little is left takes nothing.
_TAKE = """
local used = tonumber(redis.call('GET', KEYS[1]) or '0')
local left_ms = redis.call('PTTL', KEYS[1])
local hits, most, per_ms = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
if used + hits > most then
  return {0, used, left_ms > 0 and left_ms or per_ms}
end
if left_ms > 0 then
  return {1, redis.call('INCRBY', KEYS[1], hits), left_ms}
end
redis.call('SET', KEYS[1], hits, 'PX', per_ms)
return {1, hits, per_ms}
"""
# Well below the time after which the proxy lets a request through unasked (0.1 s).
_ANSWER_WITHIN = timedelta(milliseconds=60)
_CONNECTIONS = 8
# While the shared counters do not answer, they are not asked for so long: requests do not wait for them.
_LEFT_ALONE_S = 1.0
_MOST_KEYS = 100_000


@dataclass(frozen=True, slots=True)
class Taken:
    """What came of asking.

    Args:
        granted: whether it was within the limit.
        used: of the limit in this window, with what was granted now.
        resets_s: seconds until the window ends.
    """

    granted: bool
    used: int
    resets_s: float


class Counters(Protocol):
    """Where requests are counted. A window begins with its first request."""

    async def take(self, key: str, hits: int, limit: RateLimit) -> Taken:
        """Count `hits` for a key, or none of them when they exceed the limit."""
        ...


class MemoryCounters:
    """Counts in this process.

    Args:
        monotonic: seconds; default the system's.
        most: keys counted at a time, default 100,000; the one that was silent longest makes room.
    """

    def __init__(self, monotonic: Callable[[], float] = time.monotonic, most: int = _MOST_KEYS) -> None:
        self._monotonic = monotonic
        self._most = most
        self._windows: OrderedDict[str, tuple[int, float]] = OrderedDict()

    async def take(self, key: str, hits: int, limit: RateLimit) -> Taken:
        """See `Counters`."""
        now = self._monotonic()
        used, ends = self._windows.get(key, (0, 0.0))
        if ends <= now:
            used, ends = 0, now + limit.per.total_seconds()
        granted = used + hits <= limit.requests
        if granted:
            used += hits
            self._windows[key] = (used, ends)
            self._windows.move_to_end(key)
            if len(self._windows) > self._most:
                self._windows.popitem(last=False)
        return Taken(granted, used, ends - now)


class ValkeyCounters:
    """Counts in Valkey, exactly over all who ask; while it does not answer, in this process.

    Args:
        url: such as redis://127.0.0.1:6379/0.
        answer_within: how long a request may wait for it; default 60 ms.
        monotonic: seconds; default the system's.
    """

    def __init__(
        self,
        url: str,
        answer_within: timedelta = _ANSWER_WITHIN,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        patience_s = answer_within.total_seconds()
        pool = valkey.BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=patience_s,
            socket_timeout=patience_s,
            socket_connect_timeout=patience_s,
        )
        self._client = valkey.Valkey.from_pool(pool)
        self._script = self._client.register_script(_TAKE)
        self._monotonic = monotonic
        self._own = MemoryCounters(monotonic)
        self._asked_again_at = 0.0

    async def take(self, key: str, hits: int, limit: RateLimit) -> Taken:
        """See `Counters`."""
        if self._monotonic() >= self._asked_again_at:
            per_ms = int(limit.per.total_seconds() * 1000)
            try:
                reply = await cast(Any, self._script)(keys=[key], args=[hits, limit.requests, per_ms])
                granted, used, left_ms = map(int, reply)
                return Taken(bool(granted), used, left_ms / 1000)
            except (ValkeyError, OSError) as error:
                self._asked_again_at = self._monotonic() + _LEFT_ALONE_S
                _log.warning("xds.counters-lost", error=repr(error))
        metrics.COUNTERS_LOST.inc()
        return await self._own.take(key, hits, limit)

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
