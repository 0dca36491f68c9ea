"""Argon2id (RFC 9106) in a few threads, so that the event loop goes on."""

import asyncio
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from services.auth.adapters.settings import AuthSettings


class Argon2Passwords:
    """Implements `Passwords`.

    Args:
        settings: cost of a hash, and how many are made at once; each takes its memory.
    """

    def __init__(self, settings: AuthSettings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_parallelism,
        )
        self._threads = ThreadPoolExecutor(settings.hashing_concurrency, thread_name_prefix="argon2")
        self._nobodys = self._hasher.hash(secrets.token_urlsafe())

    async def hash(self, password: str) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._threads, self._hash, password)

    async def verify(self, password_hash: str | None, password: str) -> bool:
        right = await asyncio.get_running_loop().run_in_executor(
            self._threads, self._verify, password_hash or self._nobodys, password
        )
        return right and password_hash is not None

    def outdated(self, password_hash: str) -> bool:
        return self._hasher.check_needs_rehash(password_hash)

    def _hash(self, password: str) -> str:
        return self._hasher.hash(_normal(password))

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _normal(password))
        except (VerificationError, InvalidHashError):
            return False


def _normal(password: str) -> str:
    # The same password typed on another system may arrive in other code points (NIST SP 800-63B).
    return unicodedata.normalize("NFKC", password)
