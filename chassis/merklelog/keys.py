"""The signing key of a log, as a file of the secrets folder."""

import os
import secrets
from pathlib import Path

from chassis.merklelog.note import SigningKey, VerifierKey
from chassis.settings import SettingsError

_SEED_BYTES = 32


def load_signing_key(folder: Path, origin: str) -> SigningKey:
    """Read the key of a log; make it, readable by its owner only, when there is none.

    Args:
        folder: with the secrets; the file is `log-signing.<origin, / as ->.key`: 64 hexadecimal digits.
        origin: name of the log, e.g. `greenledger/crops`.

    Raises:
        SettingsError: the file holds something else.
    """
    path = folder / f"log-signing.{origin.replace('/', '-')}.key"
    if not path.exists():
        _create(path)
    try:
        seed = bytes.fromhex(path.read_text().strip())
    except ValueError:
        seed = b""
    if len(seed) != _SEED_BYTES:
        raise SettingsError(f"{path} must hold {_SEED_BYTES} bytes as {2 * _SEED_BYTES} hexadecimal digits")
    return SigningKey(origin, seed)


def publish_verifier(folder: Path, key: VerifierKey) -> Path:
    """Write the public half beside the secret one, for `verify --key`; returns where."""
    path = folder / f"log-signing.{key.name.replace('/', '-')}.pub"
    line = f"{key}\n"
    if not path.exists() or path.read_text() != line:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(line)
        draft.replace(path)
    return path


def _create(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(_SEED_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link, because it fails where a rename would replace the key of a process that was quicker.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
