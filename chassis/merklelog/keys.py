"""The signing keys of a log, as files of the secrets folder."""

import os
from collections.abc import Sequence
from pathlib import Path

from chassis.merklelog.note import SigningKey, VerifierKey
from chassis.secretfile import secret_of


class KeyFolder:
    """Where the secret keys of a log are, each readable by its owner only.

    Args:
        folder: with the secrets; the key is in `log-signing.<origin, / as ->.key`, one that is to take over
            in `....next.key` until it has.
        origin: name of the log, e.g. `greenledger/crops`.
    """

    def __init__(self, folder: Path, origin: str) -> None:
        self._origin = origin
        self._key = folder / f"log-signing.{origin.replace('/', '-')}.key"

    @property
    def _next(self) -> Path:
        return self._key.with_suffix(".next.key")

    def current(self) -> SigningKey:
        """The key; makes it when there is none.

        Raises:
            SettingsError: the file holds something else.
        """
        return SigningKey(self._origin, secret_of(self._key))

    def successor(self) -> SigningKey:
        """The key that is to take over; makes it when there is none, and gives the same until it has.

        Raises:
            SettingsError: the file holds something else.
        """
        return SigningKey(self._origin, secret_of(self._next))

    def take(self, wanted: VerifierKey) -> SigningKey | None:
        """The secret half of a key; when it is the successor's, that takes the place of the key before.

        Raises:
            SettingsError: a file holds something else.
        """
        if self._next.exists() and (found := self.successor()).verifier == wanted:
            self._next.replace(self._key)
            return found
        found = self.current()
        return found if found.verifier == wanted else None

    def publish(self, keys: Sequence[VerifierKey]) -> Path:
        """Write the public halves beside the secret ones, one a line, for `verify --key`; returns where."""
        path = self._key.with_suffix(".pub")
        lines = "".join(f"{key.line}\n" for key in keys)
        if not path.exists() or path.read_text() != lines:
            draft = path.with_name(f".{path.name}.{os.getpid()}")
            draft.write_text(lines)
            draft.replace(path)
        return path
