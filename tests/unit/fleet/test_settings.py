"""Ports and folders follow from two settings."""

from datetime import timedelta
from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.settings import FleetSettings, Limit


def test_internal_ports_follow_from_the_edge_port() -> None:
    settings = FleetSettings(state_dir=Path("/state"), edge_port=8080)
    assert [
        settings.postgres_port,
        settings.broker_port,
        settings.valkey_port,
        settings.smtp_port,
        settings.envoy_admin_port,
        settings.otlp_port,
        settings.service_port(0),
        settings.metrics_port(8),
    ] == [18081, 18082, 18083, 18084, 18085, 18086, 18100, 18138]


def test_an_option_wins_over_the_environment() -> None:
    environ = {"GREENLEDGER_EDGE_PORT": "9000", "GREENLEDGER_STATE_DIR": "/from/environment"}
    assert FleetSettings.from_environment(environ).edge_port == 9000
    settings = FleetSettings.from_environment(environ, edge_port=9100, state_dir=Path("/option"))
    assert (settings.edge_port, settings.state_dir) == (9100, Path("/option"))


def test_options_of_kafka_do_not_show_when_settings_are_printed() -> None:
    environ = {"GREENLEDGER_KAFKA_OPTIONS": "sasl.password=hunter2"}
    assert "hunter2" not in repr(FleetSettings.from_environment(environ))


def test_an_empty_variable_counts_as_unset() -> None:
    settings = FleetSettings.from_environment({"GREENLEDGER_POSTGRES_URL": "", "GREENLEDGER_EDGE_PORT": ""})
    assert settings.postgres_url is None
    assert settings.edge_port == 8080


@pytest.mark.parametrize("port", ["80", "65000", "22569", "eighty"])
def test_an_unusable_edge_port_is_refused_with_the_setting_to_change(port: str) -> None:
    with pytest.raises(FleetError, match="GREENLEDGER_EDGE_PORT"):
        FleetSettings.from_environment({"GREENLEDGER_EDGE_PORT": port})


def test_no_internal_port_reaches_the_ephemeral_range() -> None:
    settings = FleetSettings(state_dir=Path("/state"), edge_port=22568)
    assert settings.extra_metrics_port(settings.extra_ports) < 32768
    assert settings.extra_port(settings.extra_ports - 1) < settings.extra_metrics_port(0)


def test_a_state_folder_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(FleetError, match="GREENLEDGER_STATE_DIR"):
        FleetSettings(state_dir=tmp_path / "state").make_folders()


def test_mutual_tls_is_one_setting_and_off_by_default() -> None:
    off = FleetSettings.from_environment({}, state_dir=Path("/state"))
    on = FleetSettings.from_environment({"GREENLEDGER_MTLS": "on"}, state_dir=Path("/state"))
    assert (off.mtls, off.tls_dir("orders")) == (False, None)
    assert (on.mtls, on.tls_dir("orders")) == (True, Path("/state/tls/orders"))


def test_an_odd_switch_for_mutual_tls_is_refused_rather_than_taken_for_off() -> None:
    with pytest.raises(FleetError, match="GREENLEDGER_MTLS is 'yes': set it to on or off"):
        FleetSettings.from_environment({"GREENLEDGER_MTLS": "yes"})


@pytest.mark.parametrize("life", ["5", "-1", "a day"])
def test_a_life_that_certificates_cannot_have_is_refused(life: str) -> None:
    with pytest.raises(FleetError, match="GREENLEDGER_CERTIFICATE_LIFE_S"):
        FleetSettings.from_environment({"GREENLEDGER_CERTIFICATE_LIFE_S": life})


def test_replicas_and_limits_come_from_the_environment() -> None:
    environ = {
        "GREENLEDGER_REPLICAS": "1",
        "GREENLEDGER_ANONYMOUS_LIMIT": "100/15m",
        "GREENLEDGER_AUTHENTICATED_LIMIT": "0",
    }
    settings = FleetSettings.from_environment(environ)
    assert settings.replicas == 1
    assert settings.anonymous_limit == Limit(100, timedelta(minutes=15))
    assert settings.authenticated_limit is not None
    assert settings.authenticated_limit.requests == 0
    assert FleetSettings.from_environment(environ, replicas=2).replicas == 2


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("GREENLEDGER_REPLICAS", "0"),
        ("GREENLEDGER_REPLICAS", "two"),
        ("GREENLEDGER_ANONYMOUS_LIMIT", "100"),
        ("GREENLEDGER_ANONYMOUS_LIMIT", "100/0m"),
        ("GREENLEDGER_AUTHENTICATED_LIMIT", "-1/1m"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_variable(name: str, text: str) -> None:
    with pytest.raises(FleetError, match=name):
        FleetSettings.from_environment({name: text})


@pytest.mark.parametrize("text", ["100/15m", "0", "7/90s", "6000/1h", "1/2d"])
def test_a_limit_is_written_as_it_is_read(text: str) -> None:
    assert str(Limit.parse(text)) == text
