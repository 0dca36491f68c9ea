"""Secrets are made once, stay as they are, and only their owner can read them."""

import stat
from pathlib import Path

import pytest

from fleet.errors import FleetError
from fleet.secrets import ensure_secrets


def test_secrets_are_the_same_on_the_next_start(tmp_path: Path) -> None:
    first = ensure_secrets(tmp_path / "secrets", ["auth", "orders"])
    key = (tmp_path / "secrets" / "page-token.key").read_bytes()
    assert ensure_secrets(tmp_path / "secrets", ["auth", "orders"]) == first
    assert (tmp_path / "secrets" / "page-token.key").read_bytes() == key


def test_secrets_differ_between_state_folders(tmp_path: Path) -> None:
    one, two = (ensure_secrets(tmp_path / name, ["auth"]) for name in ("one", "two"))
    assert one.postgres_password != two.postgres_password
    assert one.service_accounts != two.service_accounts
    assert one.operator_password != two.operator_password


def test_only_the_owner_may_read_and_a_wider_mode_is_taken_back(tmp_path: Path) -> None:
    folder = tmp_path / "secrets"
    ensure_secrets(folder, ["auth"])
    (folder / "postgres.password").chmod(0o644)
    folder.chmod(0o755)
    ensure_secrets(folder, ["auth"])
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
    assert files == dict.fromkeys(
        ["operator.json", "page-token.key", "postgres.password", "service-accounts.json"], 0o600
    )


def test_a_new_service_gets_an_account_and_the_others_keep_theirs(tmp_path: Path) -> None:
    before = ensure_secrets(tmp_path, ["auth"]).service_accounts
    after = ensure_secrets(tmp_path, ["auth", "orders"]).service_accounts
    assert after["auth"] == before["auth"]
    assert after["orders"] not in before.values()


def test_a_damaged_file_is_named_and_not_overwritten(tmp_path: Path) -> None:
    ensure_secrets(tmp_path, ["auth"])
    (tmp_path / "service-accounts.json").write_text("{")
    with pytest.raises(FleetError, match=r"service-accounts\.json is damaged"):
        ensure_secrets(tmp_path, ["auth"])
    assert (tmp_path / "service-accounts.json").read_text() == "{"


def test_secrets_do_not_show_in_their_representation(tmp_path: Path) -> None:
    secrets = ensure_secrets(tmp_path, ["auth"])
    assert repr(secrets) == "FleetSecrets(...)"
