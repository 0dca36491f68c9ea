"""Mechanisms that keep a failing dependency from taking its callers along; pure, with injected clocks."""

from chassis.resilience.backoff import delay_s
from chassis.resilience.breaker import Breaker, BreakerChange, BreakerState, Outcome, Pass
from chassis.resilience.callees import Callee, Callees
from chassis.resilience.limits import LEAST_RETRIES, Bulkhead, RetryBudget
from chassis.resilience.metrics import CalleeMetrics
from chassis.resilience.policy import BreakerPolicy, CallPolicy
from chassis.resilience.stale import StaleAnswer, StaleAnswers

__all__ = [
    "LEAST_RETRIES",
    "Breaker",
    "BreakerChange",
    "BreakerPolicy",
    "BreakerState",
    "Bulkhead",
    "CallPolicy",
    "Callee",
    "CalleeMetrics",
    "Callees",
    "Outcome",
    "Pass",
    "RetryBudget",
    "StaleAnswer",
    "StaleAnswers",
    "delay_s",
]
