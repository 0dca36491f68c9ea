"""What a process keeps about those it calls."""

from datetime import timedelta

from prometheus_client import CollectorRegistry

from chassis.clock import FixedClock
from chassis.resilience import (
    BreakerChange,
    BreakerPolicy,
    BreakerState,
    CalleeMetrics,
    Callees,
    CallPolicy,
    Outcome,
)

QUICK = CallPolicy(breaker=BreakerPolicy(consecutive_failures=1), max_requests=7, budget_percent=50)


def test_a_callee_is_made_once_with_the_contracts_defaults() -> None:
    callees = Callees(FixedClock())
    assert callees.get("orders") is callees.get("orders")
    assert callees.get("orders").policy == CallPolicy()
    assert callees.get("orders").timeout_s == 3


def test_a_policy_that_came_before_the_first_call_or_after_it_is_in_force() -> None:
    callees = Callees(FixedClock())
    early = callees.get("crops")
    callees.apply({"crops": QUICK, "orders": QUICK})
    for callee in (early, callees.get("orders")):
        assert callee.policy is QUICK
        assert (callee.bulkhead.limit, callee.budget.percent) == (7, 50)
    callees.apply({"orders": CallPolicy(timeout=timedelta(seconds=1))})
    assert early.policy is QUICK
    assert callees.get("orders").timeout_s == 1


def test_changes_of_breakers_are_told_and_shown_as_a_gauge() -> None:
    callees, registry, told = Callees(FixedClock(), QUICK), CollectorRegistry(), list[BreakerChange]()
    CalleeMetrics(callees, registry)
    callees.on_breaker_change(told.append)
    breaker = callees.get("orders").breaker
    given = breaker.admit()
    assert given is not None
    breaker.settle(given, Outcome.FAILED)
    assert [(change.callee, change.state) for change in told] == [("orders", BreakerState.OPEN)]
    assert registry.get_sample_value("greenledger_client_breaker_state", {"callee": "orders"}) == 2
