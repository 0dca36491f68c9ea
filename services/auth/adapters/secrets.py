"""Secrets from the secrets folder, and random ones."""

import hmac
import json
import secrets
from pathlib import Path

from chassis.settings import SettingsError

SERVICE_ACCOUNTS = "service-accounts.json"
OPERATOR = "operator.json"


class RandomTokens:
    """Implements `OpaqueTokens` with 256 random bits."""

    def new(self) -> str:
        return secrets.token_urlsafe(32)


class ServiceAccountFile:
    """Implements `ServiceSecrets` from `service-accounts.json`: {"<service>": "<secret>"}.

    Read at start, and again when it has changed and somebody is not let in by what is known.

    Args:
        folder: the secrets folder.

    Raises:
        SettingsError: the file is missing or is no such JSON.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / SERVICE_ACCOUNTS
        self._nobodys = secrets.token_urlsafe(32)
        self._version = self._stamp()
        self._secrets = _read(self._path)

    def accepts(self, account: str, secret: str) -> bool:
        return self._matches(account, secret) or (self._reread() and self._matches(account, secret))

    def _matches(self, account: str, secret: str) -> bool:
        known = self._secrets.get(account)
        same = hmac.compare_digest((known or self._nobodys).encode(), secret.encode())
        return same and known is not None

    def _reread(self) -> bool:
        version = self._stamp()
        if version == self._version:
            return False
        self._version = version
        try:
            self._secrets = _read(self._path)
        except SettingsError:
            return False  # half written or gone: what was known stays in force
        return True

    def _stamp(self) -> tuple[int, int]:
        try:
            facts = self._path.stat()
        except FileNotFoundError:
            return (0, 0)
        return facts.st_mtime_ns, facts.st_size


def operator_credentials(folder: Path) -> tuple[str, str] | None:
    """E-mail address and password of `operator.json`; None when there is no such file.

    Raises:
        SettingsError: it is damaged.
    """
    path = folder / OPERATOR
    if not path.exists():
        return None
    content = _read(path)
    if not content.get("email") or not content.get("password"):
        raise SettingsError(f"{path} needs an email and a password")
    return content["email"], content["password"]


def _read(path: Path) -> dict[str, str]:
    try:
        content = json.loads(path.read_text())
    except FileNotFoundError:
        raise SettingsError(f"{path} is missing") from None
    except ValueError:
        raise SettingsError(f"{path} is no JSON") from None
    if not isinstance(content, dict) or not all(isinstance(value, str) for value in content.values()):
        raise SettingsError(f"{path} must be a JSON object of texts")
    return content
