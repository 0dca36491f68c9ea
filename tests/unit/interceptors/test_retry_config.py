"""Which methods may be repeated follows from the contracts."""

import json

import pytest

from interceptors.retry import peer_service_config

PEERS = ("auth", "users", "crops", "catalog", "inventory", "orders", "payments", "notifications", "trace")


def retried(peer: str) -> set[str]:
    config = json.loads(peer_service_config(peer))
    return {name["method"] for entry in config.get("methodConfig", ()) for name in entry["name"]}


@pytest.mark.parametrize("peer", PEERS)
def test_each_peer_has_a_config_with_a_budget_and_without_a_timeout(peer: str) -> None:
    config = json.loads(peer_service_config(peer))
    assert config["retryThrottling"]["maxTokens"] > 0
    assert "timeout" not in json.dumps(config)


def test_reads_and_calls_with_a_kept_request_id_are_repeatable() -> None:
    assert {"GetVenue", "ListVenues", "CreateVenue", "GetStatus"} <= retried("catalog")


def test_writes_without_a_request_id_are_not() -> None:
    assert not {"Login", "RefreshToken", "SetRoles", "RetrySaga"} & retried("auth")


def test_an_unknown_peer_is_an_error() -> None:
    with pytest.raises(ModuleNotFoundError):
        peer_service_config("nobody")
