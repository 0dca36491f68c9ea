"""Settings of a service from its environment."""

from datetime import timedelta
from pathlib import Path

import pytest

from chassis.settings import Rate, Settings, SettingsError

NEEDED = {
    "GREENLEDGER_DATABASE_URL": "postgresql://orders:db-password@db/orders",
    "GREENLEDGER_KAFKA_BOOTSTRAP": "broker:9092",
    "GREENLEDGER_LISTEN": "127.0.0.1:0",
    "GREENLEDGER_SECRETS_DIR": "/secrets",
}


def read(**more: str) -> Settings:
    return Settings.from_environment(
        "orders", {**NEEDED, **{f"GREENLEDGER_{name}": text for name, text in more.items()}}
    )


def test_no_secret_shows_when_settings_are_printed(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("ssl.key.password=file-password\n")
    shown = repr(
        read(
            KAFKA_OPTIONS="sasl.password=kafka-password",
            KAFKA_OPTIONS_FILE=str(file),
            SMTP_URL="smtp://me:mail-password@mail:25",
            VALKEY_URL="redis://:cache-password@cache:6379/0",
        )
    )
    assert "-password" not in shown.replace("ssl.key.password", "").replace("sasl.password", "")
    assert "sasl.password" in shown


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("", Rate(1000, 2000)),
        ("0", Rate(0, 1)),
        ("50", Rate(50, 50)),
        ("50:200", Rate(50, 200)),
        ("0.5", Rate(0.5, 1)),
    ],
)
def test_the_limit_of_a_person_is_a_rate_and_a_burst(text: str, rate: Rate) -> None:
    assert read(PRINCIPAL_LIMIT=text).principal_limit == rate


@pytest.mark.parametrize("text", ["many", "-1", "nan", "inf", "50:", "50:0", "50:0.5", "1:2:3"])
def test_a_limit_that_is_none_is_refused_with_what_is_expected(text: str) -> None:
    with pytest.raises(SettingsError, match="GREENLEDGER_PRINCIPAL_LIMIT"):
        read(PRINCIPAL_LIMIT=text)


@pytest.mark.parametrize("text", ["big", "9999", "10000001"])
def test_an_impossible_size_of_events_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="GREENLEDGER_KAFKA_MAX_MESSAGE_BYTES"):
        read(KAFKA_MAX_MESSAGE_BYTES=text)


def test_an_option_that_a_deployment_may_not_set_is_refused_at_start() -> None:
    with pytest.raises(SettingsError, match="acks must not be set"):
        read(KAFKA_OPTIONS="acks=1")


def test_with_a_control_plane_there_is_time_to_hear_that_an_instance_leaves() -> None:
    assert read().drain_notice.total_seconds() == 0
    assert read(CONTROL="127.0.0.1:1,127.0.0.1:2").drain_notice.total_seconds() == 0.3
    assert read(CONTROL="127.0.0.1:1", DRAIN_NOTICE_MS="50").drain_notice.total_seconds() == 0.05


def test_a_peer_may_have_several_addresses() -> None:
    assert read(PEERS="auth=a:1,b:2, users=c:3").peers == {"auth": "a:1,b:2", "users": "c:3"}


@pytest.mark.parametrize("text", ["a:1", "auth=", "auth=a", "=a:1", "auth=a:1,b"])
def test_a_peer_without_name_or_address_is_refused(text: str) -> None:
    with pytest.raises(SettingsError, match="GREENLEDGER_PEERS"):
        read(PEERS=text)


def test_a_consumers_session_is_that_of_apache_kafka_unless_it_is_said() -> None:
    assert read().consumer_session == timedelta(seconds=6)
    assert read(CONSUMER_SESSION_MS="2000").consumer_session == timedelta(seconds=2)
    with pytest.raises(SettingsError, match="GREENLEDGER_CONSUMER_SESSION_MS"):
        read(CONSUMER_SESSION_MS="999")
