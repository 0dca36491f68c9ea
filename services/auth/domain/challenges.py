"""Nonces of wallet challenges: they carry their own proof, so that asking for one stores nothing.

Whoever floods this with requests neither fills a table nor pushes out somebody else's challenge. Only what
was used is stored, until it would have expired.
"""

import hmac
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from typing import Final

RANDOM_BYTES: Final = 11
_EXPIRY_BYTES: Final = 5
_MAC_BYTES: Final = 16


class Purpose(Enum):
    """What a signed challenge does."""

    SIGN_IN = "sign-in"
    LINK = "link"


@dataclass(frozen=True, slots=True)
class Terms:
    """What a challenge is good for.

    Args:
        address: wallet that has to sign, in EIP-55 capitals.
        user_id: account that links it; empty for a sign-in.
    """

    purpose: Purpose
    address: str
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a wallet is asked to sign."""

    nonce: str
    message: str
    expires_at: datetime


class Nonces:
    """Makes and recognizes nonces: expiry and random bytes under an HMAC that covers the terms too.

    Args:
        secret: 32 bytes, the same in all replicas.
    """

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    def make(self, terms: Terms, expires_at: datetime, random: bytes) -> str:
        """A nonce of 64 hexadecimal digits.

        Args:
            expires_at: in whole seconds.
            random: 11 bytes that nobody can guess.
        """
        body = int(expires_at.timestamp()).to_bytes(_EXPIRY_BYTES) + random
        return (body + self._mac(body, terms)).hex()

    def expiry(self, nonce: str, terms: Terms) -> datetime | None:
        """When a nonce expires or did; None when it was not made here for these terms."""
        try:
            given = bytes.fromhex(nonce)
        except ValueError:
            return None
        # One nonce has one spelling: capitals would make another text that was not used yet.
        if len(given) != _EXPIRY_BYTES + RANDOM_BYTES + _MAC_BYTES or given.hex() != nonce:
            return None
        body, mac = given[:-_MAC_BYTES], given[-_MAC_BYTES:]
        if not hmac.compare_digest(mac, self._mac(body, terms)):
            return None
        return datetime.fromtimestamp(int.from_bytes(body[:_EXPIRY_BYTES]), UTC)

    def _mac(self, body: bytes, terms: Terms) -> bytes:
        # No part contains the separator, so no two terms give one text.
        text = "|".join((terms.purpose.value, terms.address, terms.user_id, body.hex()))
        return hmac.digest(self._secret, text.encode(), sha256)[:_MAC_BYTES]
