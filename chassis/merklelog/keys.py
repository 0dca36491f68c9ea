"""The signing key of a log, as a file of the secrets folder."""

import os
from pathlib import Path

from chassis.merklelog.note import SigningKey, VerifierKey
from chassis.secretfile import secret_of


def load_signing_key(folder: Path, origin: str) -> SigningKey:
    """Read the key of a log; make it, readable by its owner only, when there is none.

    Args:
        folder: with the secrets; the file is `log-signing.<origin, / as ->.key`: 64 hexadecimal digits.
        origin: name of the log, e.g. `greenledger/crops`.

    Raises:
        SettingsError: the file holds something else.
    """
    path = folder / f"log-signing.{origin.replace('/', '-')}.key"
    return SigningKey(origin, secret_of(path))


def publish_verifier(folder: Path, key: VerifierKey) -> Path:
    """Write the public half beside the secret one, for `verify --key`; returns where."""
    path = folder / f"log-signing.{key.name.replace('/', '-')}.pub"
    line = f"{key}\n"
    if not path.exists() or path.read_text() != line:
        draft = path.with_name(f".{path.name}.{os.getpid()}")
        draft.write_text(line)
        draft.replace(path)
    return path
