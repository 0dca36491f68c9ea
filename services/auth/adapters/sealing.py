"""Private keys at rest: AES-256-GCM under a key from the secrets folder."""

import hmac
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from chassis.secretfile import secret_of

KEY_FILE: Final = "signing-keys.key"
_NONCE_BYTES = 12


class Seal:
    """Encrypts small secrets, each bound to its name.

    Args:
        key: 32 bytes.
    """

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._cipher = AESGCM(key)

    @classmethod
    def from_folder(cls, folder: Path) -> "Seal":
        """Read the key of a secrets folder; make it, readable by its owner only, when there is none.

        Raises:
            SettingsError: the file does not hold 32 bytes in hexadecimal.
        """
        return cls(secret_of(folder / KEY_FILE))

    def derive(self, purpose: str) -> bytes:
        """A secret of 32 bytes for another purpose; it tells nothing of the key."""
        return hmac.digest(self._key, purpose.encode(), "sha256")

    def close(self, secret: bytes, name: str) -> bytes:
        """The secret, encrypted."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return nonce + self._cipher.encrypt(nonce, secret, name.encode())

    def open(self, sealed: bytes, name: str) -> bytes | None:
        """The secret again; None when it was sealed under another key or name, or altered."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], name.encode())
        except (InvalidTag, ValueError):
            return None
