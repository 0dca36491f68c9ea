"""Secrets of one fleet: made once, kept in files only their owner can read, never logged."""

import contextlib
import json
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

from fleet.errors import FleetError

OPERATOR_EMAIL = "operator@greenledger.local"
POSTGRES_PASSWORD_FILE = "postgres.password"
SERVICE_ACCOUNTS_FILE = "service-accounts.json"
OPERATOR_FILE = "operator.json"
PAGE_TOKEN_KEY_FILE = "page-token.key"


@dataclass(frozen=True, slots=True, repr=False)
class FleetSecrets:
    """What was generated for this state folder.

    Args:
        postgres_password: password of the embedded PostgreSQL's owner (256 bits).
        service_accounts: secret of each service's account at `auth`, by service name.
        operator_email: address of the first operator.
        operator_password: that operator's password.
    """

    postgres_password: str
    service_accounts: dict[str, str]
    operator_email: str
    operator_password: str

    def __repr__(self) -> str:
        return "FleetSecrets(...)"


def ensure_secrets(directory: Path, services: Iterable[str]) -> FleetSecrets:
    """Read the secrets of this state folder and make those that are missing.

    Args:
        directory: `<state>/secrets`, mode 0700; files become 0600.
        services: names that need a service account; a new name is added, a known one is kept.

    Raises:
        FleetError: a file exists but cannot be understood.
    """
    directory.mkdir(parents=True, exist_ok=True)
    directory.chmod(0o700)
    password = _read_or_create(directory / POSTGRES_PASSWORD_FILE, lambda: secrets.token_urlsafe(32))
    operator = _read_or_create(directory / OPERATOR_FILE, _new_operator)
    # 32 random bytes as 64 hexadecimal digits: safe to read as text whatever the reader expects of line ends.
    _read_or_create(directory / PAGE_TOKEN_KEY_FILE, lambda: secrets.token_hex(32))
    email, operator_password = _operator(directory / OPERATOR_FILE, operator)
    return FleetSecrets(
        postgres_password=password,
        service_accounts=_service_accounts(directory / SERVICE_ACCOUNTS_FILE, services),
        operator_email=email,
        operator_password=operator_password,
    )


def read_operator(path: Path) -> tuple[str, str]:
    """E-mail address and password of the first operator.

    Raises:
        FleetError: the file is missing or damaged.
    """
    try:
        return _operator(path, path.read_text())
    except OSError as error:
        raise FleetError(
            f"The operator's file {path} cannot be read ({error.strerror}): start the fleet once, or name "
            "another folder with --state-dir."
        ) from error


def _new_operator() -> str:
    return json.dumps({"email": OPERATOR_EMAIL, "password": secrets.token_urlsafe(18)}, indent=2)


def _operator(path: Path, text: str) -> tuple[str, str]:
    try:
        content = json.loads(text)
        return str(content["email"]), str(content["password"])
    except (ValueError, KeyError, TypeError):
        raise _unreadable(path) from None


def _service_accounts(path: Path, services: Iterable[str]) -> dict[str, str]:
    try:
        accounts: dict[str, str] = dict(json.loads(_read_or_create(path, lambda: "{}")))
    except (ValueError, TypeError):
        raise _unreadable(path) from None
    missing = [name for name in services if name not in accounts]
    if missing:
        accounts.update({name: secrets.token_urlsafe(32) for name in missing})
        _write(path, json.dumps(accounts, indent=2))
    return accounts


def _read_or_create(path: Path, make: Callable[[], str]) -> str:
    with contextlib.suppress(FileNotFoundError):
        # A copy or a restored backup may have opened the file to others.
        path.chmod(0o600)
        if text := path.read_text().strip():
            return text
    text = make()
    _write(path, text)
    return text


def _write(path: Path, text: str) -> None:
    draft = path.with_name(f".{path.name}.new")
    draft.unlink(missing_ok=True)
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def _unreadable(path: Path) -> FleetError:
    return FleetError(f"The secrets file {path} is damaged: restore it, or delete it to have a new one made.")
