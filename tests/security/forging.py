"""Tokens that nobody should accept, and tokens with chosen permissions, made with a fleet's own keys."""

import base64
import json
import time
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import asyncpg
import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from fleet.secrets import ensure_secrets
from fleet.servers.postgres import Postgres
from fleet.services import SERVICES
from fleet.testing.running import RunningFleet
from services.auth.adapters.sealing import Seal

UNUSED = rsa.generate_private_key(public_exponent=65537, key_size=2048)


@dataclass(frozen=True)
class Forge:
    """Signs with the key that the fleet signs with.

    Args:
        key_id: of the newest key.
        key: its private half.
    """

    key_id: str
    key: rsa.RSAPrivateKey

    @classmethod
    async def of(cls, fleet: RunningFleet) -> "Forge":
        """Read the key as someone with the machine's secrets could."""
        secrets = ensure_secrets(fleet.settings.secrets_dir, [spec.name for spec in SERVICES])
        dsn = Postgres(fleet.settings, secrets.postgres_password).service_dsn("auth")
        connection = await asyncpg.connect(dsn)
        try:
            row = await connection.fetchrow(
                "SELECT kid, sealed_private FROM signing_key "
                "WHERE retired_at IS NULL AND active_from <= now() ORDER BY active_from DESC LIMIT 1"
            )
        finally:
            await connection.close()
        assert row is not None
        plain = Seal.from_folder(fleet.settings.secrets_dir).open(row["sealed_private"], row["kid"])
        assert plain is not None
        key = serialization.load_der_private_key(plain, password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return cls(row["kid"], key)

    def user(self, permissions: Iterable[str], *, subject: str | None = None, **changes: Any) -> str:
        """A token that the fleet accepts, with exactly these permissions."""
        return self._sign(_claims(permissions, subject) | changes, {"kid": self.key_id})

    def service(self, permissions: Iterable[str]) -> str:
        """A service's token; its audience stays inside the fleet."""
        changes = {"aud": "greenledger-services", "kind": "service", "sub": "tester"}
        return self._sign(_claims(permissions, None) | changes, {"kid": self.key_id})

    def bad_tokens(self) -> Mapping[str, tuple[str | None, str]]:
        """By what is wrong with it: an authorization header, None for none, and the reason of the refusal."""
        sound = _claims(["everything"], None)
        known = {"kid": self.key_id}
        unknown = jwt.encode(sound, UNUSED, algorithm="RS256", headers={"kid": "nobody-knows-it"})
        stolen_id = jwt.encode(sound, UNUSED, algorithm="RS256", headers=known)
        symmetric = jwt.encode(sound, "x" * 64, algorithm="HS256", headers=known)
        expired = self._sign(sound | {"iat": time.time() - 7200, "exp": time.time() - 3600}, known)
        return {
            "no token": (None, "TOKEN_MISSING"),
            "expired": (f"Bearer {expired}", "TOKEN_EXPIRED"),
            "alg none": (f"Bearer {_unsigned(sound, self.key_id)}", "TOKEN_INVALID"),
            "symmetric": (f"Bearer {symmetric}", "TOKEN_INVALID"),
            "wrong audience": (f"Bearer {self._sign(sound | {'aud': 'elsewhere'}, known)}", "TOKEN_INVALID"),
            "wrong issuer": (f"Bearer {self._sign(sound | {'iss': 'elsewhere'}, known)}", "TOKEN_INVALID"),
            "unknown key id": (f"Bearer {unknown}", "TOKEN_INVALID"),
            "foreign key": (f"Bearer {stolen_id}", "TOKEN_INVALID"),
            "not a token": ("Bearer nonsense", "TOKEN_INVALID"),
        }

    def _sign(self, claims: Mapping[str, Any], headers: Mapping[str, str]) -> str:
        return jwt.encode(dict(claims), self.key, algorithm="RS256", headers=dict(headers))


def _claims(permissions: Iterable[str], subject: str | None) -> dict[str, Any]:
    now = int(time.time())
    return {
        "iss": "greenledger-auth",
        "aud": "greenledger",
        "sub": subject or str(uuid.uuid4()),
        "kind": "user",
        "roles": ["guest"],
        "scope": " ".join(sorted(permissions)),
        "iat": now - 1,
        "exp": now + 3600,
        "jti": str(uuid.uuid4()),
    }


def _unsigned(claims: Mapping[str, Any], key_id: str) -> str:
    parts = ({"alg": "none", "typ": "JWT", "kid": key_id}, claims)
    encoded = (base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts)
    return ".".join([*encoded, ""])
