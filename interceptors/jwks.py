"""The public keys that verify tokens: fetched, cached, and fetched again when an unknown key id shows up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from contextvars import Context
from datetime import timedelta
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from chassis.clock import Clock
from chassis.errors import Unavailable
from interceptors import reasons

_LEAST_BITS = 2048
_log = logging.getLogger(__name__)


class JwksSource:
    """A JSON Web Key Set (RFC 7517) of RSA signing keys.

    A key id that is not known makes a new fetch at most once per `least_interval`, so that forged ids
    cannot be used to flood the issuer. When a fetch fails the known keys stay in use.

    Args:
        fetch: gives the key set as parsed JSON, `{"keys": [...]}`.
        clock: measures ages.
        refresh: age at which the keys are fetched again in the background, so that a withdrawn key
            goes; default 5 minutes.
        least_interval: least time between two fetches; default 5 s.
    """

    def __init__(
        self,
        fetch: Callable[[], Awaitable[Mapping[str, Any]]],
        clock: Clock,
        *,
        refresh: timedelta = timedelta(minutes=5),
        least_interval: timedelta = timedelta(seconds=5),
    ) -> None:
        self._fetch = fetch
        self._clock = clock
        self._refresh_s = refresh.total_seconds()
        self._least_interval_s = least_interval.total_seconds()
        self._keys: dict[str, RSAPublicKey] = {}
        self._fetched = False
        self._old_at_s = 0.0
        self._tried_at: float | None = None
        self._fetching: asyncio.Task[None] | None = None
        self.generation = 0
        """Changes when a key was withdrawn: what was verified before has to be verified again."""

    async def key(self, key_id: str) -> RSAPublicKey | None:
        """The key of this id, or None when the issuer has no such key.

        Raises:
            Unavailable: no keys were ever fetched, and the issuer does not answer.
        """
        found = self._keys.get(key_id)
        if found is None and self._may_fetch():
            await self._shared_fetch()
            found = self._keys.get(key_id)
        if not self._fetched:
            raise Unavailable(reasons.UNAVAILABLE, "Tokens cannot be verified at present.")
        self.refresh_when_old(self._clock.monotonic())
        return found

    def refresh_when_old(self, now_s: float) -> None:
        """Fetch in the background when the keys are older than `refresh`.

        Args:
            now_s: instant of the clock's `monotonic`.
        """
        if now_s >= self._old_at_s and self._may_fetch():
            self._start()

    def _may_fetch(self) -> bool:
        if self._fetching is not None:
            return True  # joins the fetch under way
        return self._tried_at is None or self._clock.monotonic() - self._tried_at >= self._least_interval_s

    async def _shared_fetch(self) -> None:
        # Shielded: a caller who gives up must not take the fetch away from the others.
        await asyncio.shield(self._start())

    # In an empty context: the fetch serves all, so the deadline of whoever began it must not end it.
    def _start(self) -> asyncio.Task[None]:
        if self._fetching is None:
            self._tried_at = self._clock.monotonic()
            self._fetching = asyncio.create_task(self._fetch_once(), context=Context())
        return self._fetching

    async def _fetch_once(self) -> None:
        try:
            keys = _signing_keys(await self._fetch())
        except Exception as error:
            _log.warning("the key set could not be fetched: %r", error)
        else:
            if self._keys.keys() - keys.keys():
                self.generation += 1
            self._keys = keys
            self._fetched = True
            self._old_at_s = self._clock.monotonic() + self._refresh_s
        finally:
            self._fetching = None


def _signing_keys(key_set: Mapping[str, Any]) -> dict[str, RSAPublicKey]:
    keys: dict[str, RSAPublicKey] = {}
    for entry in key_set.get("keys", ()):
        usable = entry.get("kty") == "RSA" and entry.get("use", "sig") == "sig"
        if not usable or entry.get("alg", "RS256") != "RS256" or not entry.get("kid"):
            continue
        key = jwt.PyJWK(dict(entry), algorithm="RS256").key
        if isinstance(key, RSAPublicKey) and key.key_size >= _LEAST_BITS:
            keys[entry["kid"]] = key
        else:
            _log.warning("key %s is no RSA public key of at least %s bits", entry["kid"], _LEAST_BITS)
    return keys
