"""The key ring: RSA keys in PostgreSQL, private halves sealed, JWTs signed with RS256."""

import asyncio
import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import asyncpg
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from chassis.clock import Clock
from chassis.database import Database
from chassis.errors import Unavailable
from services.auth.adapters.sealing import Seal
from services.auth.domain.keys import SigningKey, published, signer

BITS: Final = 2048
_LOCK = 0x6175_7468_6B65_7973


@dataclass(frozen=True, slots=True)
class PublicKey:
    """The public half as in RFC 7518 section 6.3.1: base64url without padding."""

    kid: str
    modulus: str
    exponent: str


@dataclass(frozen=True, slots=True, repr=False)
class _Entry:
    key: SigningKey
    public: PublicKey
    private: rsa.RSAPrivateKey | None


class KeyRing:
    """Implements `Keys` and gives the public keys.

    Args:
        database: where the keys are.
        seal: opens and closes private halves.
        clock: says which key is active.
        reread_after: age at which the copy in memory is read again; default 2 s. It must be shorter
            than the time between a key's publication and its first use.
    """

    def __init__(
        self,
        database: Database,
        seal: Seal,
        clock: Clock,
        reread_after: timedelta = timedelta(seconds=2),
    ) -> None:
        self._database = database
        self._seal = seal
        self._clock = clock
        self._reread_after_s = reread_after.total_seconds()
        self._entries: list[_Entry] = []
        self._read_at: float | None = None

    async def lock(self) -> None:
        await self._database.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)

    async def usable(self) -> Sequence[SigningKey]:
        return [entry.key for entry in await self._read() if entry.private]

    async def generate(self, created_at: datetime, active_from: datetime) -> SigningKey:
        private = await asyncio.to_thread(rsa.generate_private_key, public_exponent=65537, key_size=BITS)
        numbers = private.public_key().public_numbers()
        modulus, exponent = _base64(numbers.n), _base64(numbers.e)
        kid = _thumbprint(modulus, exponent)
        plain = private.private_bytes(
            serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        await self._database.execute(
            "INSERT INTO signing_key VALUES ($1, $2, $3, $4, $5, $6)",
            kid,
            modulus,
            exponent,
            self._seal.close(plain, kid),
            created_at,
            active_from,
        )
        self._database.after_commit(self._forget)
        return SigningKey(kid, created_at, active_from)

    async def retire_others(self, kid: str, at: datetime) -> None:
        await self._database.execute(
            "UPDATE signing_key SET retired_at = $2 WHERE kid <> $1 AND retired_at IS NULL", kid, at
        )
        self._database.after_commit(self._forget)

    async def purge(self, retired_before: datetime) -> int:
        tag = await self._database.execute("DELETE FROM signing_key WHERE retired_at <= $1", retired_before)
        return int(tag.rsplit(" ", 1)[1])

    async def sign(self, claims: Mapping[str, Any]) -> str:
        """A JWT (RFC 7519) with RS256.

        Raises:
            Unavailable: there is no key that can sign.
        """
        entries = {entry.key.kid: entry for entry in await self._known() if entry.private}
        key = signer([entry.key for entry in entries.values()], self._clock.now())
        private = entries[key.kid].private if key else None
        if key is None or private is None:
            raise Unavailable("UNAVAILABLE", "tokens cannot be issued at present")
        return jwt.encode(dict(claims), private, algorithm="RS256", headers={"kid": key.kid})

    async def public_keys(self) -> list[PublicKey]:
        """What verifies tokens, newest first."""
        entries = {entry.key.kid: entry for entry in await self._known()}
        keys = published([entry.key for entry in entries.values()], self._clock.now())
        return [entries[key.kid].public for key in sorted(keys, key=_age, reverse=True)]

    async def jwks(self) -> dict[str, Any]:
        """The public keys as a JSON Web Key Set (RFC 7517)."""
        return {
            "keys": [
                {"kty": "RSA", "use": "sig", "alg": "RS256", "kid": k.kid, "n": k.modulus, "e": k.exponent}
                for k in await self.public_keys()
            ]
        }

    async def _known(self) -> list[_Entry]:
        age = None if self._read_at is None else self._clock.monotonic() - self._read_at
        if age is None or age >= self._reread_after_s:
            self._entries, self._read_at = await self._read(), self._clock.monotonic()
        return self._entries

    async def _read(self) -> list[_Entry]:
        opened = {entry.key.kid: entry.private for entry in self._entries}
        rows = await self._database.fetch("SELECT * FROM signing_key")
        return [self._entry(row, opened.get(row["kid"])) for row in rows]

    def _entry(self, row: asyncpg.Record, opened: rsa.RSAPrivateKey | None) -> _Entry:
        key = SigningKey(row["kid"], row["created_at"], row["active_from"], row["retired_at"])
        private = opened or self._open(row["sealed_private"], key.kid)
        return _Entry(key, PublicKey(key.kid, row["modulus"], row["exponent"]), private)

    def _open(self, sealed: bytes, kid: str) -> rsa.RSAPrivateKey | None:
        plain = self._seal.open(sealed, kid)
        if plain is None:
            return None
        private = serialization.load_der_private_key(plain, password=None)
        return private if isinstance(private, rsa.RSAPrivateKey) else None

    def _forget(self) -> None:
        self._read_at = None


def _age(key: SigningKey) -> tuple[datetime, str]:
    return key.active_from, key.kid


def _base64(number: int) -> str:
    raw = number.to_bytes((number.bit_length() + 7) // 8)
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _thumbprint(modulus: str, exponent: str) -> str:
    """RFC 7638."""
    canonical = f'{{"e":"{exponent}","kty":"RSA","n":"{modulus}"}}'
    return base64.urlsafe_b64encode(hashlib.sha256(canonical.encode()).digest()).rstrip(b"=").decode()
