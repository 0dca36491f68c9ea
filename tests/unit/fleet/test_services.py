"""The list of services, their environment and the order in which they stop."""

import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.instances import Endpoints, Layout, lay_out, service_environment
from fleet.services import SERVICES, ServiceSpec, numbered, select, stop_waves
from fleet.settings import FleetSettings
from fleet.testing.ports import free_edge_port

ENDPOINTS = Endpoints(
    database_urls={spec.name: f"postgresql://db/{spec.name}" for spec in SERVICES},
    kafka_bootstrap="127.0.0.1:18082",
    valkey_url="redis://127.0.0.1:18083/0",
    smtp_url="smtp://127.0.0.1:18084",
)
SETTINGS = FleetSettings(state_dir=Path("/state"))
WITHOUT_CONTROL = [spec for spec in SERVICES if spec.name != "control"]


def environment_of(name: str, layout: Layout, settings: FleetSettings = SETTINGS) -> dict[str, str]:
    (instance,) = [entry for entry in layout.instances if entry.name == name]
    return service_environment(instance, layout, settings, ENDPOINTS)


def test_every_dependency_is_a_service() -> None:
    names = {spec.name for spec in SERVICES}
    assert all(set(spec.depends_on) <= names for spec in SERVICES)


def test_a_service_is_told_its_own_database_ports_and_all_its_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLEDGER_POSTGRES_URL", "postgresql://admin:secret@elsewhere/postgres")
    environment = environment_of("orders", lay_out(SERVICES, SERVICES, SETTINGS))
    assert environment["GREENLEDGER_DATABASE_URL"] == "postgresql://db/orders"
    assert environment["GREENLEDGER_LISTEN"] == "127.0.0.1:18105"
    assert environment["GREENLEDGER_METRICS_LISTEN"] == "127.0.0.1:18135"
    assert environment["GREENLEDGER_PEERS"].startswith("auth=127.0.0.1:18100,users=127.0.0.1:18101,")
    assert environment["GREENLEDGER_SECRETS_DIR"] == "/state/secrets"
    assert "GREENLEDGER_POSTGRES_URL" not in environment, "a service must not get the administrator's address"


def test_a_service_is_told_of_its_certificate_when_mutual_tls_is_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLEDGER_TLS_DIR", "/of/somebody/else")
    mutual = replace(SETTINGS, mtls=True)
    layout = lay_out(SERVICES, SERVICES, mutual)
    for name, folder in {"orders": "orders", "orders-2": "orders", "control": "control"}.items():
        (instance,) = [entry for entry in layout.instances if entry.name == name]
        assert "GREENLEDGER_TLS_DIR" not in service_environment(instance, layout, SETTINGS, ENDPOINTS)
        told = service_environment(instance, layout, mutual, ENDPOINTS)
        assert told["GREENLEDGER_TLS_DIR"] == f"/state/tls/{folder}"


def test_a_service_is_told_every_address_of_those_it_must_find_without_control() -> None:
    layout = lay_out(SERVICES, SERVICES, SETTINGS)
    catalog = next(spec for spec in SERVICES if spec.name == "catalog")
    assert len(layout.addresses(catalog, SETTINGS)) == 2
    peers = environment_of("orders", layout)["GREENLEDGER_PEERS"]
    assert f"catalog={','.join(layout.addresses(catalog, SETTINGS))}," in peers


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
    environment = environment_of("auth", lay_out(SERVICES, SERVICES, settings), settings)
    given = {name: text for name, text in environment.items() if name.startswith("GREENLEDGER_KAFKA_OPTIONS")}
    expected = {
        "GREENLEDGER_KAFKA_OPTIONS": "security.protocol=SASL_SSL",
        "GREENLEDGER_KAFKA_OPTIONS_FILE": str(tmp_path / "kafka.properties"),
    }
    assert given == (expected if external else {})


def test_the_fleet_has_two_of_control_and_of_two_services_and_a_canary_by_default() -> None:
    layout = lay_out(SERVICES, SERVICES, SETTINGS)
    further = {entry.name: entry.version for entry in layout.instances[len(SERVICES) :]}
    assert further == {"crops-canary": "v2", "catalog-2": "v1", "orders-2": "v1", "control-2": "v1"}
    assert layout.control == ("127.0.0.1:18110", "127.0.0.1:18193")
    assert layout.xds == ("127.0.0.1:18180", "127.0.0.1:18181")


def test_no_two_processes_share_a_port_or_a_name() -> None:
    layout = lay_out(SERVICES, SERVICES, replace(SETTINGS, replicas=3))
    ports = [
        port
        for entry in layout.instances
        for port in (entry.port, entry.metrics_port, entry.xds_port)
        if port
    ]
    assert len(ports) == len(set(ports)) == 2 * len(layout.instances) + 3
    assert len({entry.name for entry in layout.instances}) == len(layout.instances) == 3 * len(SERVICES) + 1


def test_no_process_listens_where_tests_claim_their_ranges() -> None:
    edge_port = free_edge_port(replicas=True)
    settings = replace(SETTINGS, edge_port=edge_port)
    layout = lay_out(SERVICES, SERVICES, replace(settings, replicas=3))
    for entry in layout.instances:
        for port in (entry.port, entry.metrics_port, entry.xds_port or entry.port):
            with socket.socket() as listener:
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("127.0.0.1", port))


def test_one_of_each_has_no_canary() -> None:
    layout = lay_out(SERVICES, SERVICES, replace(SETTINGS, replicas=1))
    assert [entry.name for entry in layout.instances] == [spec.name for spec in SERVICES]
    assert len(layout.control) == 1


def test_more_replicas_than_there_are_ports_for_are_refused_with_the_setting_to_change() -> None:
    with pytest.raises(FleetError, match="GREENLEDGER_REPLICAS"):
        lay_out(SERVICES, SERVICES, replace(SETTINGS, replicas=5))


def test_without_control_there_is_one_of_each_and_nobody_is_told_of_it() -> None:
    layout = lay_out(SERVICES, WITHOUT_CONTROL, SETTINGS)
    assert [entry.name for entry in layout.instances] == [spec.name for spec in WITHOUT_CONTROL]
    told = environment_of("orders", layout).keys()
    assert not told & {"GREENLEDGER_CONTROL", "GREENLEDGER_XDS", "GREENLEDGER_DRAIN_NOTICE_MS"}


def test_a_replica_is_told_who_it_is_and_where_control_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GREENLEDGER_REPLICAS", "")
    environment = environment_of("crops-canary", lay_out(SERVICES, SERVICES, SETTINGS))
    assert environment["GREENLEDGER_SERVICE"] == "crops"
    assert environment["GREENLEDGER_INSTANCE"] == "crops-canary"
    assert environment["GREENLEDGER_VERSION"] == "v2"
    assert environment["GREENLEDGER_LISTEN"] == "127.0.0.1:18190"
    assert environment["GREENLEDGER_METRICS_LISTEN"] == "127.0.0.1:18230"
    assert environment["GREENLEDGER_DATABASE_URL"] == "postgresql://db/crops"
    assert environment["GREENLEDGER_CONTROL"] == "127.0.0.1:18110,127.0.0.1:18193"
    assert environment["GREENLEDGER_XDS"] == "127.0.0.1:18180,127.0.0.1:18181"
    assert "GREENLEDGER_REPLICAS" not in environment


def test_each_process_of_control_has_a_listener_for_discovery_and_a_snapshot_of_its_own() -> None:
    layout = lay_out(SERVICES, SERVICES, SETTINGS)
    first, second = (environment_of(name, layout) for name in ("control", "control-2"))
    assert first["GREENLEDGER_XDS_LISTEN"] == "127.0.0.1:18180"
    assert second["GREENLEDGER_XDS_LISTEN"] == "127.0.0.1:18181"
    assert first["GREENLEDGER_SNAPSHOT"] != second["GREENLEDGER_SNAPSHOT"]
    shared = ("TRAFFIC_FILE", "EDGE_ROUTES", "DATABASE_URL", "CONTROL")
    assert all(first[f"GREENLEDGER_{name}"] == second[f"GREENLEDGER_{name}"] for name in shared)
    assert "GREENLEDGER_XDS" not in first, "control does not find its way by asking itself"


def test_control_stops_last() -> None:
    assert stop_waves(SERVICES)[-1] == ["control"]


def test_a_service_stops_before_those_it_calls() -> None:
    wave = {name: number for number, names in enumerate(stop_waves(SERVICES)) for name in names}
    assert wave.keys() == {spec.name for spec in SERVICES}
    mutual = {"crops", "inventory"}
    for spec in WITHOUT_CONTROL:
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
