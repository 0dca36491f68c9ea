"""Ports and folders follow from two settings."""

from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.settings import FleetSettings


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


@pytest.mark.parametrize("port", ["80", "65000", "22669", "eighty"])
def test_an_unusable_edge_port_is_refused_with_the_setting_to_change(port: str) -> None:
    with pytest.raises(FleetError, match="GREENLEDGER_EDGE_PORT"):
        FleetSettings.from_environment({"GREENLEDGER_EDGE_PORT": port})


def test_no_internal_port_reaches_the_ephemeral_range() -> None:
    assert FleetSettings(state_dir=Path("/state"), edge_port=22668).metrics_port(40) < 32768


def test_a_state_folder_that_cannot_be_made_is_named_with_its_setting(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("in the way")
    with pytest.raises(FleetError, match="GREENLEDGER_STATE_DIR"):
        FleetSettings(state_dir=tmp_path / "state").make_folders()
