"""Traffic policies as people write them."""

import pytest

from fleet.errors import FleetError
from fleet.policies import change, header_routes, limit_words, shares, weights_of, without_output
from greenledger.control.v1 import traffic_pb2 as pb


def policy() -> pb.TrafficPolicy:
    return pb.TrafficPolicy(service="crops", weights=weights_of(["v1=90", "v2=10"]), version=3, etag="e")


def test_shares_are_read_as_they_are_shown() -> None:
    assert shares(policy()) == "v1 90 %, v2 10 %"
    assert shares(pb.TrafficPolicy()) == "all alike"


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["v1=80", "v2=10"], "add up to 90"),
        (["v1=100", "v1=0"], "each version once"),
        (["v1"], "each version once"),
        (["v1=half"], "each version once"),
        (["=100"], "each version once"),
        (["v1=-1", "v2=101"], "each version once"),
    ],
)
def test_shares_that_make_no_sense_are_refused(words: list[str], complaint: str) -> None:
    with pytest.raises(FleetError, match=complaint):
        weights_of(words)


def test_fields_are_changed_one_by_one_and_the_rest_stays() -> None:
    changed = policy()
    change(
        changed,
        [
            "timeout=2s",
            "retries.attempts=2",
            "retries.per_try_timeout=250ms",
            "breaker.disabled=true",
            "breaker.reset=1m",
            "balancing.method=ring_hash",
            "limits.max_requests=50",
            "header_routes=x-version:v2=v2,x-user-role:grower=v2",
        ],
    )
    assert changed.timeout.ToMilliseconds() == 2000
    assert changed.retries.attempts == 2
    assert changed.retries.per_try_timeout.ToMilliseconds() == 250
    assert changed.breaker.disabled
    assert changed.breaker.reset.ToSeconds() == 60
    assert changed.balancing.method == pb.BALANCING_METHOD_RING_HASH
    assert changed.limits.max_requests == 50
    assert header_routes(changed) == "x-version: v2 -> v2; x-user-role: grower -> v2"
    assert changed.weights == policy().weights
    change(changed, ["header_routes=", "timeout=", "retries.attempts="])
    assert not changed.header_routes
    assert not changed.HasField("timeout")
    assert changed.retries.attempts == 0


def test_limits_of_the_edge_are_changed_the_same_way() -> None:
    edge = pb.EdgePolicy()
    change(edge, ["anonymous=200/15m", "authenticated=0", "shared=true"])
    assert limit_words(edge.anonymous) == "200/15m"
    assert limit_words(edge.authenticated) == "no limit"
    assert edge.shared


@pytest.mark.parametrize(
    ("word", "complaint"),
    [
        ("timeout", "neither a file nor field=value"),
        ("tmeout=2s", "There is no field tmeout: choose from header_routes, balancing, retries"),
        ("retries.atempts=2", r"There is no field retries\.atempts: choose from attempts"),
        ("timeout.seconds.more=2", "has no fields|no field"),
        ("timeout=2", "such as 250ms, 3s or 15m"),
        ("retries=2", "name one of its fields: attempts"),
        ("retries.attempts=two", "expected a whole number"),
        ("retries.attempts=99999999999", "retries.attempts=99999999999"),
        ("breaker.disabled=yes", "expected true or false"),
        ("balancing.method=random", "expected one of round_robin, ring_hash"),
        ("header_routes=v2", "such as x-version:v2=v2"),
        ("weights=v1", "There is no field weights"),
        ("version=4", "There is no field version"),
    ],
)
def test_what_cannot_be_set_is_refused_with_what_can(word: str, complaint: str) -> None:
    with pytest.raises(FleetError, match=complaint):
        change(policy(), [word])


def test_a_policy_is_shown_as_it_may_be_set_again() -> None:
    assert without_output(policy()) == {
        "service": "crops",
        "weights": [{"version": "v1", "weight": 90}, {"version": "v2", "weight": 10}],
    }


def test_a_limit_that_is_none_is_shown_too() -> None:
    unlimited = pb.EdgePolicy(anonymous=pb.RateLimit(requests=0))
    unlimited.anonymous.per.FromSeconds(900)
    assert without_output(unlimited) == {"anonymous": {"requests": 0, "per": "900s"}, "shared": False}
