"""Traffic policies as clients go by them."""

from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from chassis.clock import FixedClock
from chassis.discovery import Policies, call_policy
from chassis.resilience import BreakerPolicy, Callees, CallPolicy
from greenledger.control.v1 import traffic_pb2


def duration(seconds: float) -> Any:
    made = Duration()
    made.FromTimedelta(timedelta(seconds=seconds))
    return made


def test_what_is_not_given_has_the_contracts_default() -> None:
    assert call_policy(traffic_pb2.TrafficPolicy(service="orders")) == CallPolicy()


def test_everything_that_concerns_clients_is_taken_over() -> None:
    policy = traffic_pb2.TrafficPolicy(
        service="orders",
        retries=traffic_pb2.Retries(
            attempts=5,
            per_try_timeout=duration(0.5),
            budget_percent=30,
            backoff=duration(0.01),
            max_backoff=duration(2),
        ),
        breaker=traffic_pb2.Breaker(
            disabled=True,
            failure_percent=10,
            minimum_calls=5,
            consecutive_failures=7,
            window=duration(20),
            reset=duration(60),
        ),
        limits=traffic_pb2.Limits(max_requests=50),
        timeout=duration(1.5),
    )
    assert call_policy(policy) == CallPolicy(
        attempts=5,
        per_try_timeout=timedelta(seconds=0.5),
        budget_percent=30,
        backoff=timedelta(seconds=0.01),
        max_backoff=timedelta(seconds=2),
        breaker=BreakerPolicy(
            disabled=True,
            failure_percent=10,
            minimum_calls=5,
            consecutive_failures=7,
            window=timedelta(seconds=20),
            reset=timedelta(seconds=60),
        ),
        max_requests=50,
        timeout=timedelta(seconds=1.5),
    )


def test_a_snapshot_is_in_force_at_once_and_others_keep_what_they_had() -> None:
    callees = Callees(FixedClock())
    policies, orders = Policies(callees), callees.get("orders")
    one = traffic_pb2.TrafficPolicy(service="orders", limits=traffic_pb2.Limits(max_requests=5))
    policies.apply(traffic_pb2.TrafficPolicyList(policies=[one]))
    assert orders.bulkhead.limit == 5
    other = traffic_pb2.TrafficPolicy(service="crops", limits=traffic_pb2.Limits(max_requests=9))
    policies.apply(traffic_pb2.TrafficPolicyList(policies=[other]))
    assert (orders.bulkhead.limit, callees.get("crops").bulkhead.limit) == (5, 9)
