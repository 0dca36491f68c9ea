"""Traffic policies from control, as the client chain goes by them."""

from typing import Any

import structlog

from chassis.resilience import BreakerPolicy, Callees, CallPolicy

_log = structlog.get_logger(__name__)
_RETRIES = ("per_try_timeout", "backoff", "max_backoff")


class Policies:
    """Applies snapshots of policies to the callees of the process.

    What is not given has its default; services that a snapshot does not name keep what they had.

    Args:
        callees: whose policies they are.
    """

    def __init__(self, callees: Callees) -> None:
        self._callees = callees
        self._known: dict[str, CallPolicy] = {}

    def apply(self, snapshot: Any) -> None:
        """Go by a `TrafficPolicyList` from now on."""
        found = {policy.service: call_policy(policy) for policy in snapshot.policies}
        changed = {name: policy for name, policy in found.items() if self._known.get(name) != policy}
        self._known.update(changed)
        self._callees.apply(changed)
        for name in changed:
            _log.info("traffic.policy_applied", callee=name)


def call_policy(policy: Any) -> CallPolicy:
    """The part of a `TrafficPolicy` that clients go by."""
    given: dict[str, Any] = {}
    retries = policy.retries
    if retries.attempts:
        given["attempts"] = retries.attempts
    if retries.budget_percent:
        given["budget_percent"] = retries.budget_percent
    for name in _RETRIES:
        if retries.HasField(name):
            given[name] = getattr(retries, name).ToTimedelta()
    if policy.limits.max_requests:
        given["max_requests"] = policy.limits.max_requests
    if policy.HasField("timeout"):
        given["timeout"] = policy.timeout.ToTimedelta()
    return CallPolicy(breaker=_breaker(policy.breaker), **given)


def _breaker(breaker: Any) -> BreakerPolicy:
    given: dict[str, Any] = {"disabled": breaker.disabled}
    for name in ("failure_percent", "minimum_calls", "consecutive_failures"):
        if value := getattr(breaker, name):
            given[name] = value
    for name in ("window", "reset"):
        if breaker.HasField(name):
            given[name] = getattr(breaker, name).ToTimedelta()
    return BreakerPolicy(**given)
