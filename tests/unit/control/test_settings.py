"""Settings that only control has."""

from datetime import timedelta
from pathlib import Path

import pytest

from chassis.settings import SettingsError
from services.control.adapters.settings import ControlSettings


def test_without_settings_there_is_nobody_to_tell_and_nothing_to_read():
    assert ControlSettings.from_environment({}) == ControlSettings()
    assert ControlSettings().poll < timedelta(seconds=1), "a change is to be known everywhere within a second"


def test_settings_are_read_from_the_environment():
    settings = ControlSettings.from_environment(
        {
            "GREENLEDGER_XDS_LISTEN": "127.0.0.1:18180",
            "GREENLEDGER_TRAFFIC_FILE": "/etc/traffic.yaml",
            "GREENLEDGER_EDGE_ROUTES": "/run/routes.json",
            "GREENLEDGER_SNAPSHOT": "/var/control.json",
            "GREENLEDGER_CONTROL_POLL_MS": "100",
        }
    )
    assert settings == ControlSettings(
        "127.0.0.1:18180",
        Path("/etc/traffic.yaml"),
        Path("/run/routes.json"),
        Path("/var/control.json"),
        timedelta(milliseconds=100),
    )


@pytest.mark.parametrize(
    ("name", "value"), [("XDS_LISTEN", "18180"), ("CONTROL_POLL_MS", "0"), ("CONTROL_POLL_MS", "soon")]
)
def test_a_setting_that_cannot_be_read_is_named(name, value):
    with pytest.raises(SettingsError, match=f"GREENLEDGER_{name}"):
        ControlSettings.from_environment({f"GREENLEDGER_{name}": value})
