"""The shared rate limit of several proxies (envoy.service.ratelimit.v3): they ask, one place counts."""

import hashlib
import math
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import grpc

from chassis.edge_limits import ADDRESS, ANONYMOUS, PERSON
from chassis.service import Servicer
from chassis.tls import peer_identity
from services.control.adapters.xds import metrics, stubs
from services.control.adapters.xds.counters import Counters, Taken
from services.control.application.ports import Views
from services.control.domain.policy import EdgePolicy, RateLimit

SERVICE_NAME = "envoy.service.ratelimit.v3.RateLimitService"

_MOST_DESCRIPTORS = 10
_Context = grpc.aio.ServicerContext[Any, Any]


class RateLimitService:
    """Decides by the edge's policy in force now; a descriptor that it does not name has no limit.

    Args:
        views: where the policy is.
        counters: where requests are counted.
        caller: the only one who may ask, by the name in its certificate, since asking uses up somebody's
            requests; default whoever reaches the listener, which is for networks that are trusted.
    """

    def __init__(self, views: Views, counters: Counters, *, caller: str | None = None) -> None:
        self._views = views
        self._counters = counters
        self._caller = caller

    def servicer(self) -> Servicer:
        """For the listener of discovery."""
        return Servicer(SERVICE_NAME, stubs.add_RateLimitServiceServicer_to_server, self)

    async def ShouldRateLimit(self, request: Any, context: _Context) -> Any:
        """Whether a request of a proxy is within the limits of its client."""
        if self._caller is not None and peer_identity(context.auth_context()) != self._caller:
            await context.abort(grpc.StatusCode.PERMISSION_DENIED, f"{self._caller} alone may count requests")
        if len(request.descriptors) > _MOST_DESCRIPTORS:
            await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "too many descriptors")
        view = self._views.current()
        response = stubs.RateLimitResponse(overall_code="OK")
        tightest: tuple[RateLimit, Taken] | None = None
        for descriptor in request.descriptors:
            client, limit = _limit(descriptor.entries, view.edge)
            if not view.revision:
                limit = None  # nothing is known yet, so nobody is refused for what may not be the limit
            if limit is None:
                response.statuses.add(code="OK")
                continue
            hits = descriptor.hits_addend.value if descriptor.HasField("hits_addend") else request.hits_addend
            taken = await self._counters.take(_key(request.domain, descriptor, limit), hits or 1, limit)
            metrics.LIMITED.labels(client, "ok" if taken.granted else "over").inc()
            response.statuses.append(_status(limit, taken))
            if not taken.granted:
                response.overall_code = stubs.RateLimitResponse.OVER_LIMIT
            if tightest is None or _left(limit, taken) < _left(*tightest):
                tightest = limit, taken
        if tightest is not None:
            headers = _headers(*tightest)
            response.MergeFrom(stubs.RateLimitResponse(response_headers_to_add=headers))
        return response


def _limit(entries: Iterable[Any], policy: EdgePolicy) -> tuple[str, RateLimit | None]:
    """Which kind of client it is, and its limit; None for no limit."""
    keys = [entry.key for entry in entries]
    limit = None
    if keys == [PERSON]:
        client, limit = PERSON, policy.authenticated
    elif keys == [ANONYMOUS, ADDRESS]:
        client, limit = ANONYMOUS, policy.anonymous
    else:
        client = "other"
    return client, limit if limit is not None and limit.requests else None


def _key(domain: str, descriptor: Any, limit: RateLimit) -> str:
    # Of one length whatever clients are called; another length of window begins another one.
    text = "\0".join([domain, str(limit.per), *(f"{each.key}\0{each.value}" for each in descriptor.entries)])
    return f"greenledger:limit:{hashlib.blake2b(text.encode(), digest_size=16).hexdigest()}"


def _left(limit: RateLimit, taken: Taken) -> int:
    return max(0, limit.requests - taken.used) if taken.granted else -1


def _status(limit: RateLimit, taken: Taken) -> Any:
    # Without a unit, since the contract has none for a quarter of an hour; Envoy then tells clients the bare
    # limit, as it does where it counts itself.
    current = {"name": f"{limit.requests} in {limit.per}", "requests_per_unit": limit.requests}
    status = stubs.RateLimitResponse.DescriptorStatus(
        code="OK" if taken.granted else "OVER_LIMIT",
        current_limit=current,
        limit_remaining=max(0, _left(limit, taken)),
    )
    status.duration_until_reset.FromTimedelta(timedelta(seconds=taken.resets_s))
    return status


def _headers(limit: RateLimit, taken: Taken) -> list[dict[str, str]]:
    # Names as in the IETF's draft of rate limit fields, and RFC 9110's for when to come again.
    reset = str(max(1, math.ceil(taken.resets_s)))
    values = {
        "ratelimit-limit": str(limit.requests),
        "ratelimit-remaining": str(max(0, _left(limit, taken))),
        "ratelimit-reset": reset,
    }
    if not taken.granted:
        values["retry-after"] = reset
    return [{"key": key, "value": value} for key, value in values.items()]
