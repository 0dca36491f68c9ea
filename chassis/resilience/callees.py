"""Everything that a process keeps about the services that it calls."""

from collections.abc import Callable, Iterator, Mapping

from chassis.clock import Clock, SystemClock
from chassis.resilience.breaker import Breaker, BreakerChange
from chassis.resilience.limits import Bulkhead, RetryBudget
from chassis.resilience.policy import CallPolicy


class Callee:
    """One service as its callers see it: policy, breaker, limits, and what was counted.

    Args:
        name: of the service.
        policy: how calls to it are made.
        clock: monotonic time.
        on_change: told when the breaker changes.
    """

    __slots__ = (
        "answered_stale",
        "attempts",
        "breaker",
        "budget",
        "bulkhead",
        "name",
        "policy",
        "refused",
        "retried",
        "timeout_s",
    )

    def __init__(
        self, name: str, policy: CallPolicy, clock: Clock, on_change: Callable[[BreakerChange], None]
    ) -> None:
        self.name = name
        self.breaker = Breaker(name, clock, policy.breaker, on_change)
        self.bulkhead = Bulkhead(policy.max_requests)
        self.budget = RetryBudget(policy.budget_percent, clock)
        self.attempts = 0
        self.answered_stale = 0
        self.retried: dict[str, int] = {}
        self.refused: dict[str, int] = {}
        self.apply(policy)

    def apply(self, policy: CallPolicy) -> None:
        """Go by another policy; calls under way keep what they began with."""
        self.policy = policy
        self.timeout_s = policy.timeout.total_seconds()
        self.breaker.configure(policy.breaker)
        self.bulkhead.limit = policy.max_requests
        self.budget.percent = policy.budget_percent


class Callees:
    """The callees of a process, made when they are first called.

    Args:
        clock: monotonic time; default the system's.
        default: policy of those that no other was told for; default the contract's.
    """

    def __init__(self, clock: Clock | None = None, default: CallPolicy | None = None) -> None:
        self._clock = clock or SystemClock()
        self._default = default or CallPolicy()
        self._policies: dict[str, CallPolicy] = {}
        self._callees: dict[str, Callee] = {}
        self._listeners: list[Callable[[BreakerChange], None]] = []

    def get(self, name: str) -> Callee:
        """The callee of that name."""
        callee = self._callees.get(name)
        if callee is None:
            policy = self._policies.get(name, self._default)
            callee = self._callees[name] = Callee(name, policy, self._clock, self._tell)
        return callee

    def __iter__(self) -> Iterator[Callee]:
        return iter(list(self._callees.values()))

    def apply(self, policies: Mapping[str, CallPolicy]) -> None:
        """Go by these policies; services that are not among them keep theirs."""
        for name, policy in policies.items():
            self._policies[name] = policy
            if name in self._callees:
                self._callees[name].apply(policy)

    def on_breaker_change(self, listener: Callable[[BreakerChange], None]) -> None:
        """Tell `listener` of every change of a breaker; it must not raise or block."""
        self._listeners.append(listener)

    def _tell(self, change: BreakerChange) -> None:
        for listener in self._listeners:
            listener(change)
