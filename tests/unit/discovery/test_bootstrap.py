"""What gRPC is told of the control plane."""

import json
from pathlib import Path
from typing import Any

import pytest

from chassis.discovery import bootstrap, configure, instance_of
from chassis.discovery.bootstrap import names_together
from chassis.settings import Settings, SettingsError

REPLICAS = ("127.0.0.1:18200", "127.0.0.1:18201")


def settings(**changes: Any) -> Settings:
    facts: dict[str, Any] = {
        "service": "orders",
        "database_url": "",
        "kafka_bootstrap": "",
        "listen": "127.0.0.1:18026",
        "secrets_dir": Path("/secrets"),
        "instance_id": "orders-1",
        "xds": REPLICAS,
    }
    return Settings(**{**facts, **changes})


def first_asked(n: int, **changes: Any) -> str:
    """The replica that an instance asks first."""
    (server, *_) = bootstrap(settings(instance_id=f"orders-{n}", **changes))["xds_servers"]
    return str(server["server_uri"]).removeprefix("ipv4:").split(",")[0]


def test_replicas_are_one_server_of_several_addresses() -> None:
    (server,) = bootstrap(settings())["xds_servers"]
    kind, _, addresses = server["server_uri"].partition(":")
    assert (kind, set(addresses.split(","))) == ("ipv4", set(REPLICAS))


def test_replicas_with_names_are_named_one_by_one() -> None:
    named = ("control-1:18200", "127.0.0.1:18201")
    servers = bootstrap(settings(xds=named))["xds_servers"]
    assert {server["server_uri"] for server in servers} == set(named)


@pytest.mark.parametrize("replicas", [REPLICAS, (*REPLICAS, "127.0.0.1:18202")])
def test_with_certificates_replicas_are_one_that_they_name_before_each_alone(
    replicas: tuple[str, ...],
) -> None:
    for n in range(20):
        given = settings(instance_id=f"orders-{n}", tls_dir=Path("/state/tls/orders"), xds=replicas)
        together, *alone = (server["server_uri"] for server in bootstrap(given)["xds_servers"])
        assert together.removeprefix("ipv4:") in names_together(replicas)
        assert set(alone) == set(replicas)


@pytest.mark.parametrize("replicas", [(), REPLICAS[:1], ("control-1:18200", "127.0.0.1:18201")])
def test_replicas_that_nobody_calls_as_one_need_no_name_for_it(replicas: tuple[str, ...]) -> None:
    assert names_together(replicas) == ()


@pytest.mark.parametrize("changes", [{}, {"tls_dir": Path("/state/tls/orders")}])
def test_what_control_forgets_is_not_taken_for_gone(changes: dict[str, Any]) -> None:
    for server in bootstrap(settings(**changes))["xds_servers"]:
        assert server["server_features"] == ["xds_v3", "ignore_resource_deletion"]


def test_the_node_is_the_instance_of_its_service() -> None:
    node = bootstrap(settings(version="v2"))["node"]
    assert (node["id"], node["cluster"], node["metadata"]) == ("orders-1", "orders", {"version": "v2"})


@pytest.mark.parametrize("changes", [{}, {"tls_dir": Path("/state/tls/orders")}])
def test_instances_share_out_which_replica_they_ask_first(changes: dict[str, Any]) -> None:
    assert {first_asked(n, **changes) for n in range(20)} == set(REPLICAS)


def test_certificates_are_watched_when_there_is_a_folder_for_them() -> None:
    assert "certificate_providers" not in bootstrap(settings())
    watcher = bootstrap(settings(tls_dir=Path("/state/tls/orders")))["certificate_providers"]["fleet"]
    assert watcher["plugin_name"] == "file_watcher"
    assert watcher["config"]["certificate_file"] == "/state/tls/orders/certificate.pem"


def test_it_is_put_where_grpc_looks_for_it_and_nowhere_without_a_control_plane() -> None:
    environ: dict[str, str] = {}
    configure(settings(xds=()), environ)
    assert environ == {}
    configure(settings(), environ)
    assert json.loads(environ["GRPC_XDS_BOOTSTRAP_CONFIG"]) == bootstrap(settings())


def test_an_instance_says_where_it_is_and_whom_it_calls() -> None:
    instance = instance_of(settings(version="v2", metrics_listen="127.0.0.1:9"), ("catalog", "payments"))
    assert (instance.instance_id, instance.service, instance.version) == ("orders-1", "orders", "v2")
    assert (instance.address, instance.port) == ("127.0.0.1", 18026)
    assert list(instance.dependencies) == ["catalog", "payments"]
    assert dict(instance.metadata) == {"metrics": "127.0.0.1:9"}


@pytest.mark.parametrize("listen", ["0.0.0.0:18026", "[::]:18026", ":18026"])
def test_an_instance_that_listens_everywhere_must_say_where_it_is_reached(listen: str) -> None:
    with pytest.raises(SettingsError, match="GREENLEDGER_ADVERTISE"):
        instance_of(settings(listen=listen))
    instance = instance_of(settings(listen=listen, advertise="orders-1.internal:80"))
    assert (instance.address, instance.port) == ("orders-1.internal", 80)
