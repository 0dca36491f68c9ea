"""What a policy must keep to, and the file that control starts with."""

from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis.errors import Aborted, InvalidArgument
from chassis.settings import SettingsError
from services.control.adapters.memory import edge_json, edge_of_json, policy_json, policy_of_json
from services.control.adapters.traffic_file import read_traffic_file
from services.control.domain.policy import (
    Balancing,
    Breaker,
    EdgePolicy,
    HeaderRoute,
    Outlier,
    RateLimit,
    Retries,
    TrafficPolicy,
    VersionWeight,
)
from services.control.domain.policy_rules import (
    require_known,
    require_running,
    require_sound,
    require_sound_edge,
)
from services.control.domain.versioned import Versioned
from services.control.domain.view import FleetView

HOUSE_FILE = Path(__file__).parents[3] / "deploy" / "traffic.yaml"
QUARTER = timedelta(minutes=15)


def policy(*shares: tuple[str, int], routes: tuple[tuple[str, str, str], ...] = ()) -> TrafficPolicy:
    return TrafficPolicy(
        "crops",
        weights=tuple(VersionWeight(*share) for share in shares),
        header_routes=tuple(HeaderRoute(*route) for route in routes),
    )


def violations(check, *arguments: object) -> list[tuple[str, str]]:
    with pytest.raises(InvalidArgument) as error:
        check(*arguments)
    assert error.value.reason == "POLICY_INVALID"
    return [(violation.field, violation.description) for violation in error.value.violations]


@given(st.lists(st.integers(0, 100), min_size=1, max_size=10))
def test_weights_are_accepted_exactly_when_they_add_up_to_a_hundred(shares):
    weighted = policy(*((f"v{index}", share) for index, share in enumerate(shares)))
    if sum(shares) == 100:
        require_sound(weighted)
    else:
        assert violations(require_sound, weighted) == [
            ("policy.weights", f"add up to {sum(shares)}, not to 100")
        ]


def test_a_version_or_header_named_twice_is_refused():
    twice = policy(("v1", 50), ("v1", 50), routes=(("x-version", "v2", "v1"), ("x-version", "v2", "v2")))
    assert [field for field, _ in violations(require_sound, twice)] == [
        "policy.weights",
        "policy.header_routes",
    ]


def test_a_wait_that_is_longer_than_the_longest_is_refused():
    waits = replace(policy(), retries=Retries(backoff=timedelta(seconds=2)))
    assert [field for field, _ in violations(require_sound, waits)] == ["policy.retries.backoff"]


def test_a_version_that_nobody_runs_gets_no_calls():
    typo = policy(("v1", 90), ("v3", 10), routes=(("x-user-role", "farmer", "v4"),))
    assert violations(require_running, typo, {"v1", "v2"}, policy()) == [
        ("policy.weights[1].version", "'v3' is run by no registered instance; there are: v1, v2"),
        ("policy.header_routes[0].version", "'v4' is run by no registered instance; there are: v1, v2"),
    ]


def test_a_weight_of_nought_sends_nobody_anywhere_and_is_accepted():
    require_running(policy(("v1", 100), ("v2", 0)), {"v1"}, policy())


CANARY = policy(("v1", 90), ("v2", 10), routes=(("x-version", "v2", "v2"),))


@pytest.mark.parametrize(
    "changed",
    [
        replace(CANARY, timeout=timedelta(seconds=2)),
        replace(CANARY, header_routes=()),
        replace(CANARY, weights=()),
        replace(CANARY, weights=(VersionWeight("v1", 100),)),
        replace(CANARY, weights=(VersionWeight("v1", 95), VersionWeight("v2", 5))),
    ],
)
def test_when_a_canary_is_gone_the_rest_of_its_policy_can_be_changed(changed):
    require_running(changed, {"v1"}, CANARY)


def test_what_is_gone_gets_no_more_calls_than_it_had():
    more = policy(("v1", 89), ("v2", 11), routes=(("x-version", "v2", "v2"), ("x-user-role", "farmer", "v2")))
    assert [field for field, _ in violations(require_running, more, {"v1"}, CANARY)] == [
        "policy.weights[1].version",
        "policy.header_routes[1].version",
    ]


def test_a_service_that_nobody_has_heard_of_and_the_proxy_have_no_policy():
    require_known("crops", ["crops"])
    assert violations(require_known, "crosp", ["crops"])
    assert violations(require_known, "edge", ["edge"])
    assert violations(require_sound, TrafficPolicy("edge"))


@pytest.mark.parametrize(
    ("anonymous", "authenticated", "sound"),
    [
        (RateLimit(100, QUARTER), RateLimit(6000, QUARTER), True),
        (RateLimit(100, QUARTER), RateLimit(100, QUARTER), True),
        (RateLimit(101, QUARTER), RateLimit(100, QUARTER), False),
        (RateLimit(10, timedelta(seconds=1)), RateLimit(100, QUARTER), False),
        (RateLimit(0, QUARTER), RateLimit(100, QUARTER), False),
        (RateLimit(0, QUARTER), RateLimit(0, QUARTER), True),
        (RateLimit(100, QUARTER), RateLimit(0, QUARTER), True),
    ],
)
def test_a_known_caller_may_never_do_less_than_an_unknown_one(anonymous, authenticated, sound):
    limits = EdgePolicy(anonymous, authenticated)
    if sound:
        require_sound_edge(limits)
    else:
        assert violations(require_sound_edge, limits)


def test_who_has_not_seen_the_newest_version_changes_nothing():
    now = datetime(2026, 1, 1, tzinfo=UTC)
    first = Versioned[str]().changed("a", "", now, "olga", "because")
    assert first.changed("b", first.etag, now, "olga", "").version == 2
    with pytest.raises(Aborted) as error:
        first.changed("b", Versioned().etag, now, "olga", "")
    assert error.value.reason == "ETAG_MISMATCH"


def test_every_field_of_a_policy_survives_being_stored():
    odd = timedelta(milliseconds=1234)
    full = TrafficPolicy(
        "crops",
        weights=(VersionWeight("v1", 90), VersionWeight("v2", 10)),
        header_routes=(HeaderRoute("x-version", "v2", "v2"),),
        balancing=Balancing.RING_HASH,
        ring_size=77,
        retries=Retries(2, odd, 7, timedelta(milliseconds=3), odd),
        breaker=Breaker(True, 7, 7, 7, odd, odd),
        outlier=Outlier(True, 7, odd, odd, 7, 7),
        max_requests=7,
        timeout=odd,
    )
    assert not _defaults(full, TrafficPolicy(""))
    assert policy_of_json("crops", policy_json(full)) == full
    limits = EdgePolicy(RateLimit(0, odd), RateLimit(7, odd), shared=True)
    assert edge_of_json("edge", edge_json(limits)) == limits


def test_what_is_not_given_has_its_default():
    assert policy_of_json("crops", {"retries": {"attempts": 2}}) == TrafficPolicy(
        "crops", retries=Retries(attempts=2)
    )
    assert edge_of_json("edge", {}) == EdgePolicy()


def test_the_file_of_the_house_is_sound_and_says_what_it_should():
    known = read_traffic_file(HOUSE_FILE)
    sticky = {name for name, entry in known.policies.items() if entry.balancing is Balancing.RING_HASH}
    assert sticky == {"crops", "orders"}
    assert known.edge == EdgePolicy(RateLimit(100, QUARTER), RateLimit(6000, QUARTER))
    assert all(not entry.weights for entry in known.policies.values())


def test_without_a_file_there_are_no_policies_and_the_limits_have_their_defaults():
    assert (read_traffic_file(None).policies, read_traffic_file(None).edge) == ({}, EdgePolicy())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("services: [{service: crops, retires: {attempts: 2}}]", "retires"),
        ("services: [{service: crops}, {service: crops}]", "named twice"),
        ("services: [{retries: {attempts: 2}}]", "not at all"),
        ("services: [{service: crops, weights: [{version: v1, weight: 90}]}]", "add up to 90"),
        ("services: [{service: crops, retries: {attempts: 9}}]", "services[0].retries.attempts"),
        ("services: [{service: crops, timeout: fast}]", "timeout"),
        ("edge: {anonymous: {requests: 100, per: 1s}}", "policy.authenticated"),
        ("- services", "no mapping"),
        ("services: [", "expected"),
        ("", "no mapping"),
    ],
)
def test_a_file_that_is_wrong_keeps_control_from_starting_and_says_where(tmp_path, text, said):
    path = tmp_path / "traffic.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError) as error:
        read_traffic_file(path)
    assert said in str(error.value)
    assert str(path) in str(error.value)


def test_a_file_that_is_not_there_keeps_control_from_starting(tmp_path):
    with pytest.raises(SettingsError):
        read_traffic_file(tmp_path / "none.yaml")


def test_a_view_has_a_policy_for_everybody():
    assert FleetView(1).policy("crops") == TrafficPolicy("crops")


def _defaults(value: object, default: object) -> list[str]:
    """Fields that have their default, in which case the test above says nothing about them."""
    found = []
    for field in fields(value):  # type: ignore[arg-type]
        mine, theirs = getattr(value, field.name), getattr(default, field.name)
        if is_dataclass(mine):
            found += _defaults(mine, theirs)
        elif mine == theirs:
            found.append(field.name)
    return found
