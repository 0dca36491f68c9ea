"""The list of services, their environment and the order in which they stop."""

import os
from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.services import SERVICES, Endpoints, ServiceSpec, numbered, select, service_environment, stop_waves
from fleet.settings import FleetSettings

ENDPOINTS = Endpoints(
    database_urls={spec.name: f"postgresql://db/{spec.name}" for spec in SERVICES},
    kafka_bootstrap="127.0.0.1:18082",
    valkey_url="redis://127.0.0.1:18083/0",
    smtp_url="smtp://127.0.0.1:18084",
)
SETTINGS = FleetSettings(state_dir=Path("/state"))


def test_every_dependency_is_a_service() -> None:
    names = {spec.name for spec in SERVICES}
    assert all(set(spec.depends_on) <= names for spec in SERVICES)


def test_a_service_is_told_its_own_database_ports_and_all_its_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLEDGER_POSTGRES_URL", "postgresql://admin:secret@elsewhere/postgres")
    orders = next(spec for spec in SERVICES if spec.name == "orders")
    environment = service_environment(orders, SERVICES, SETTINGS, ENDPOINTS)
    assert environment["GREENLEDGER_DATABASE_URL"] == "postgresql://db/orders"
    assert environment["GREENLEDGER_LISTEN"] == "127.0.0.1:18105"
    assert environment["GREENLEDGER_METRICS_LISTEN"] == "127.0.0.1:18135"
    assert environment["GREENLEDGER_PEERS"].startswith("auth=127.0.0.1:18100,users=127.0.0.1:18101,")
    assert environment["GREENLEDGER_SECRETS_DIR"] == "/state/secrets"
    assert "GREENLEDGER_POSTGRES_URL" not in environment, "a service must not get the administrator's address"


@pytest.mark.parametrize("external", [True, False])
def test_options_of_kafka_reach_a_service_only_with_an_external_broker(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, external: bool
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GREENLEDGER_KAFKA_OPTIONS", "security.protocol=SASL_SSL")
    monkeypatch.setenv("GREENLEDGER_KAFKA_OPTIONS_FILE", "kafka.properties")
    if external:
        monkeypatch.setenv("GREENLEDGER_KAFKA_BOOTSTRAP", "broker:9093")
    settings = FleetSettings.from_environment(os.environ, state_dir=Path("/state"))
    environment = service_environment(SERVICES[0], SERVICES, settings, ENDPOINTS)
    given = {name: text for name, text in environment.items() if name.startswith("GREENLEDGER_KAFKA_OPTIONS")}
    expected = {
        "GREENLEDGER_KAFKA_OPTIONS": "security.protocol=SASL_SSL",
        "GREENLEDGER_KAFKA_OPTIONS_FILE": str(tmp_path / "kafka.properties"),
    }
    assert given == (expected if external else {})


def test_a_service_stops_before_those_it_calls() -> None:
    wave = {name: number for number, names in enumerate(stop_waves(SERVICES)) for name in names}
    assert wave.keys() == {spec.name for spec in SERVICES}
    mutual = {"crops", "inventory"}
    for spec in SERVICES:
        for callee in spec.depends_on:
            together = {spec.name, callee} == mutual
            assert wave[spec.name] == wave[callee] if together else wave[spec.name] < wave[callee]


def test_what_a_circle_calls_stops_after_it() -> None:
    specs = numbered(
        [
            ServiceSpec("a", depends_on=("b", "d")),
            ServiceSpec("b", depends_on=("a",)),
            ServiceSpec("c", depends_on=("a",)),
            ServiceSpec("d"),
        ]
    )
    assert stop_waves(specs) == [["c"], ["a", "b"], ["d"]]


def test_services_that_call_each_other_stop_together() -> None:
    specs = numbered(
        [ServiceSpec("a", depends_on=("b",)), ServiceSpec("b", depends_on=("a",)), ServiceSpec("c")]
    )
    assert stop_waves(specs) == [["a", "b", "c"]]


def test_a_chosen_service_keeps_the_port_it_has_among_all() -> None:
    (orders,) = select(SERVICES, ["orders"])
    assert orders.index == 5


def test_an_unknown_service_is_refused_with_those_that_exist() -> None:
    with pytest.raises(FleetError, match="There is no service warehouse: choose from auth, catalog"):
        select(SERVICES, ["orders", "warehouse"])
