"""A limit per caller, inside the service; the edge has the first one."""

from collections import OrderedDict
from datetime import timedelta
from typing import Any

from chassis.clock import Clock
from chassis.errors import ResourceExhausted
from interceptors import reasons
from interceptors.call import Call, Method, Proceed


class PrincipalLimit:
    """A token bucket per person.

    Services are not limited: a call of theirs is made for a person who was counted where he came in, and a
    refusal would hit everybody else too. Nor are callers without a token, who all seem to come from the
    edge; the edge limits them, and admission protects the process.

    Args:
        clock: refills the buckets.
        rate_per_s: calls a second in the long run; default 0, which switches the limit off.
        burst: calls at once after a pause; default the rate.
        most_principals: buckets kept; the longest unused is dropped. Default 10,000.
    """

    def __init__(
        self, clock: Clock, *, rate_per_s: float = 0.0, burst: float = 0.0, most_principals: int = 10_000
    ) -> None:
        self._clock = clock
        self._rate = rate_per_s
        self._given_burst = burst
        self._most = most_principals
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def set_rate(self, per_s: float) -> None:
        """Allow so many calls a second from now on; 0 switches the limit off."""
        self._rate = per_s

    def set_burst(self, calls: float) -> None:
        """Allow so many calls at once from now on; 0 means the rate."""
        self._given_burst = calls

    @property
    def _burst(self) -> float:
        return self._given_burst or max(self._rate, 1.0)

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method that needs a token."""
        if method.public:
            return proceed

        async def limit(request: Any, call: Call) -> Any:
            if self._rate and call.principal is not None and call.principal.kind == "user":
                wait_s = self._take(call.principal.subject)
                if wait_s > 0:
                    raise ResourceExhausted(
                        reasons.RATE_LIMITED, "Too many requests.", retry_after=timedelta(seconds=wait_s)
                    )
            return await proceed(request, call)

        return limit

    def _take(self, key: str) -> float:
        now = self._clock.monotonic()
        left, at = self._buckets.pop(key, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        wait_s = 0.0 if left >= 1 else (1 - left) / self._rate
        self._buckets[key] = (left - 1 if wait_s == 0 else left, now)
        if len(self._buckets) > self._most:
            self._buckets.popitem(last=False)
        return wait_s
