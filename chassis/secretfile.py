"""Small secrets as files: hexadecimal digits that only their owner may read."""

import os
import secrets
from pathlib import Path

from chassis.settings import SettingsError

SECRET_BYTES = 32


def secret_of(path: Path) -> bytes:
    """The 32 bytes in a file; makes it, with new ones, when there is none.

    Raises:
        SettingsError: the file holds something else than 64 hexadecimal digits.
    """
    if not path.exists():
        _create(path)
    try:
        secret = bytes.fromhex(path.read_text().strip())
    except ValueError:
        secret = b""
    if len(secret) != SECRET_BYTES:
        raise SettingsError(f"{path} must hold {SECRET_BYTES} bytes as {2 * SECRET_BYTES} hexadecimal digits")
    return secret


def _create(path: Path) -> None:
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(secrets.token_hex(SECRET_BYTES))
        file.flush()
        os.fsync(file.fileno())
    try:
        # A link, because it fails where a rename would replace the secret of a process that was quicker.
        os.link(draft, path)
    except FileExistsError:
        pass
    finally:
        draft.unlink()
