"""The policies that control starts with."""

from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.instances import lay_out, traffic_path
from fleet.services import SERVICES
from fleet.settings import FleetSettings, Limit
from fleet.traffic_file import rate_limit, read_message, write_traffic_file
from greenledger.control.v1 import traffic_pb2

OURS = """
services:
- service: crops
  balancing: {method: BALANCING_METHOD_RING_HASH}
- service: orders
  timeout: 2s
edge:
  anonymous: {requests: 50, per: 60s}
"""


@pytest.fixture
def settings(tmp_path: Path) -> FleetSettings:
    (tmp_path / "deploy").mkdir()
    (tmp_path / "deploy" / "traffic.yaml").write_text(OURS)
    settings = FleetSettings(state_dir=tmp_path / "state", project_root=tmp_path)
    settings.make_folders()
    return settings


def written(settings: FleetSettings) -> traffic_pb2.TrafficFile:
    write_traffic_file(settings, lay_out(SERVICES, SERVICES, settings))
    file = traffic_pb2.TrafficFile()
    read_message(traffic_path(settings), file)
    return file


def weights(policy: traffic_pb2.TrafficPolicy) -> dict[str, int]:
    return {entry.version: entry.weight for entry in policy.weights}


def test_the_canary_of_the_fleet_is_added_to_the_projects_policies(settings: FleetSettings) -> None:
    crops, orders = written(settings).services
    assert weights(crops) == {"v1": 90, "v2": 10}
    assert crops.balancing.method == traffic_pb2.BALANCING_METHOD_RING_HASH
    assert orders.timeout.ToSeconds() == 2
    assert not orders.weights


def test_one_of_each_leaves_the_projects_policies_as_they_are(settings: FleetSettings) -> None:
    assert not any(policy.weights for policy in written(replace(settings, replicas=1)).services)


def test_limits_of_the_settings_win_over_the_projects(settings: FleetSettings) -> None:
    assert written(settings).edge.anonymous.requests == 50
    edge = written(replace(settings, anonymous_limit=Limit.parse("0"))).edge
    assert edge.HasField("anonymous")
    assert (edge.anonymous.requests, edge.anonymous.per.ToSeconds()) == (0, 900)


@pytest.mark.parametrize(
    ("anonymous", "authenticated"),
    [("0", "0"), ("9000/15m", "9000/15m"), ("7/1s", "7/1s"), ("200/15m", None), ("60000/1d", None)],
)
def test_who_has_a_token_may_never_do_less_than_who_has_none(
    settings: FleetSettings, anonymous: str, authenticated: str | None
) -> None:
    edge = written(replace(settings, anonymous_limit=Limit.parse(anonymous))).edge
    assert edge.HasField("authenticated") is (authenticated is not None)
    if authenticated:
        assert edge.authenticated == edge.anonymous == rate_limit(Limit.parse(authenticated))


def test_without_a_file_of_the_project_there_are_the_canary_and_defaults(settings: FleetSettings) -> None:
    (settings.project_root / "deploy" / "traffic.yaml").unlink()
    (crops,) = written(settings).services
    assert (crops.service, weights(crops)) == ("crops", {"v1": 90, "v2": 10})


@pytest.mark.parametrize("text", ["services: [{sevice: crops}]", "services: crops", "- crops", "services: ["])
def test_a_file_that_does_not_fit_is_refused_with_its_name(settings: FleetSettings, text: str) -> None:
    (settings.project_root / "deploy" / "traffic.yaml").write_text(text)
    with pytest.raises(FleetError, match=r"traffic\.yaml does not fit greenledger\.control\.v1\.TrafficFile"):
        written(settings)
