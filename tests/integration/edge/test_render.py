"""Rendering: what Envoy accepts, and what the renderer refuses."""

import json
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from fleet.contracts.model import Contracts
from fleet.edge import limits
from fleet.edge.contract import edge_methods
from fleet.edge.errors import EdgeError
from fleet.edge.render import fill, render, render_fleet
from fleet.edge.routes import grpc_routes, json_routes
from fleet.edge.settings import Address, EdgeSettings
from fleet.servers.envoy import find_envoy
from fleet.services import SERVICES
from fleet.settings import PROJECT_ROOT, FleetSettings, Limit


@pytest.fixture
def settings(tmp_path: Path) -> EdgeSettings:
    return EdgeSettings.of_fleet(FleetSettings(state_dir=tmp_path, edge_port=20123))


def validate(configuration: Path) -> subprocess.CompletedProcess[str]:
    binary = find_envoy(FleetSettings(state_dir=configuration.parent))
    command = [str(binary), "--mode", "validate", "-c", str(configuration), "--log-level", "error"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def test_envoy_accepts_the_configuration_of_a_fleet(tmp_path: Path) -> None:
    configuration = render_fleet(FleetSettings(state_dir=tmp_path, edge_port=20124))
    found = validate(configuration)
    assert found.returncode == 0, found.stderr


def test_envoy_accepts_every_option(settings: EdgeSettings) -> None:
    services = {name: (Address(name, 9000), Address("10.0.0.1", 9000)) for name in settings.services}
    found = validate(
        render(
            replace(
                settings,
                services=services,
                otlp=Address.parse("http://collector:4317"),
                cors_origins=("https://app.example",),
                requests_per_second=0,
            )
        )
    )
    assert found.returncode == 0, found.stderr


def test_the_same_settings_render_the_same_files(settings: EdgeSettings) -> None:
    first = render(settings).read_bytes()
    assert render(settings).read_bytes() == first


def test_every_method_and_binding_of_the_contract_has_its_route(settings: EdgeSettings) -> None:
    contracts = Contracts((PROJECT_ROOT / "gen" / "greenledger.binpb").read_bytes())
    methods = edge_methods(contracts)
    served = {method.containing_service.full_name for method in contracts.methods()}
    assert served - {method.service for method in methods} == {"greenledger.operations.v1.OperationsService"}
    assert [route["match"]["path"] for route in grpc_routes(methods, settings)] == [m.path for m in methods]
    bindings = [binding for method in methods for binding in method.bindings]
    assert sum(route["name"].startswith("json:") for route in json_routes(methods, settings)) == len(bindings)


def test_only_streams_are_without_a_time_limit(settings: EdgeSettings) -> None:
    methods = edge_methods(Contracts((PROJECT_ROOT / "gen" / "greenledger.binpb").read_bytes()))
    endless = [
        route["name"]
        for route in grpc_routes(methods, settings)
        if route["route"]["max_stream_duration"]["max_stream_duration"] == "0s"
    ]
    assert endless == [method.path for method in methods if method.streaming]
    assert "/greenledger.orders.v1.OrderService/WatchOrder" in endless


def test_the_fleet_is_addressed_as_its_settings_say(tmp_path: Path) -> None:
    fleet = FleetSettings(state_dir=tmp_path, edge_port=20125, otlp_endpoint="http://127.0.0.1:4317")
    settings = EdgeSettings.of_fleet(fleet)
    assert settings.admin.port == fleet.envoy_admin_port
    assert settings.services["orders"] == (Address("127.0.0.1", fleet.service_port(5)),)
    assert settings.services.keys() == {spec.name for spec in SERVICES}
    assert settings.otlp == Address("127.0.0.1", 4317)


def test_a_service_without_an_address_is_named(settings: EdgeSettings) -> None:
    services = {name: address for name, address in settings.services.items() if name != "orders"}
    with pytest.raises(EdgeError, match="orders"):
        render(replace(settings, services=services))


def test_a_missing_generated_file_is_named(settings: EdgeSettings, tmp_path: Path) -> None:
    root = tmp_path / "root"
    shutil.copytree(PROJECT_ROOT / "envoy", root / "envoy")
    with pytest.raises(EdgeError, match=r"greenledger\.binpb is missing: run `make gen`"):
        render(replace(settings, project_root=root))


def test_a_placeholder_without_a_value_and_a_value_without_a_place_are_named() -> None:
    assert json.loads(fill('{"a": <<a>>}', {"a": ['"', "<<b>>"]})) == {"a": ['"', "<<b>>"]}
    with pytest.raises(EdgeError, match="a, b"):
        fill("<<a>>", {"b": 1})


XDS = (Address("127.0.0.1", 18180), Address("127.0.0.1", 18181))


def test_envoy_accepts_a_configuration_whose_rest_comes_from_control(settings: EdgeSettings) -> None:
    found = validate(render(replace(settings, xds=XDS, otlp=Address.parse("http://collector:4317"))))
    assert found.returncode == 0, found.stderr


def test_with_control_the_route_table_is_a_file_of_its_own_and_services_have_no_address(
    settings: EdgeSettings,
) -> None:
    static = yaml.safe_load(render(settings).read_text())
    assert static["dynamic_resources"] is None
    assert not (settings.output_dir / "routes.json").exists()
    steered = yaml.safe_load(render(replace(settings, xds=XDS)).read_text())
    table = json.loads((settings.output_dir / "routes.json").read_text())
    (host,) = table["virtual_hosts"]
    (static_host,) = manager(static)["route_config"]["virtual_hosts"]
    assert host["routes"] == static_host["routes"]
    assert static_host == host, "limits are no part of it"
    assert "descriptors" in local_filter(static)["typed_config"]
    assert "typed_config" not in local_filter(steered), "limits are control's"
    assert table["name"] == manager(steered)["rds"]["route_config_name"] == "edge"
    clusters = {cluster["name"]: cluster for cluster in steered["static_resources"]["clusters"]}
    assert clusters.keys() == {"own_keys", "control-xds"}
    (endpoints,) = clusters["control-xds"]["load_assignment"]["endpoints"]
    assert len(endpoints["lb_endpoints"]) == len(XDS)


def test_an_edge_whose_control_is_away_waits_for_it_and_asks_often(settings: EdgeSettings) -> None:
    steered = yaml.safe_load(render(replace(settings, xds=XDS)).read_text())
    dynamic = steered["dynamic_resources"]
    (service,) = dynamic["ads_config"]["grpc_services"]
    assert service["envoy_grpc"]["retry_policy"]["retry_back_off"] == {
        "base_interval": "0.2s",
        "max_interval": "2s",
    }
    told = local_filter(steered)["config_discovery"]
    sources = (dynamic["cds_config"], manager(steered)["rds"]["config_source"], told["config_source"])
    # Routes it needs; without being told of limits it opens all the same, and limits nobody.
    assert [source["initial_fetch_timeout"] for source in sources] == ["0s", "0s", "2s"]
    assert told["default_config"].keys() == {"@type", "stat_prefix"}
    assert steered["node"] == {"id": "edge-1", "cluster": "edge"}


def test_the_edge_is_healthy_without_control(settings: EdgeSettings) -> None:
    filters = manager(yaml.safe_load(render(settings).read_text()))["http_filters"]
    (check,) = [entry for entry in filters if entry["name"] == "envoy.filters.http.health_check"]
    asked = check["typed_config"]["cluster_min_healthy_percentages"].keys()
    assert asked == settings.services.keys() - {"control"}


def test_no_limit_leaves_nothing_to_count(settings: EdgeSettings) -> None:
    none = Limit.parse("0")
    nothing = limits.per_client(replace(settings, anonymous_limit=none, authenticated_limit=none))
    assert nothing.keys() == {"@type", "stat_prefix"}
    config = limits.per_client(replace(settings, anonymous_limit=none))
    assert [entry["key"] for descriptor in config["descriptors"] for entry in descriptor["entries"]] == [
        "person"
    ]


def manager(configuration: dict[str, Any]) -> dict[str, Any]:
    """The edge's own listener."""
    listener = configuration["static_resources"]["listeners"][0]
    return listener["filter_chains"][0]["filters"][0]["typed_config"]


def local_filter(configuration: dict[str, Any]) -> dict[str, Any]:
    """The filter by which the edge counts for itself."""
    name = "envoy.filters.http.local_ratelimit"
    (found,) = [entry for entry in manager(configuration)["http_filters"] if entry["name"] == name]
    return found
