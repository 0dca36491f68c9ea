"""Tokens to principals: JWT (RFC 7519) signed with RS256, verified once and remembered until expiry."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

import jwt

from chassis.clock import Clock
from chassis.context import Principal
from chassis.errors import Unauthenticated
from interceptors import reasons
from interceptors.jwks import JwksSource

ISSUER = "greenledger-auth"
AUDIENCES: Mapping[str, Literal["user", "service"]] = {
    "greenledger": "user",
    "greenledger-services": "service",
}
"""Audience of a token -> the only kind of principal that it may speak for."""

_MOST_CHARACTERS = 8192
_REQUIRED = ["exp", "iat", "iss", "aud", "sub"]


@dataclass(frozen=True, slots=True)
class _Verified:
    principal: Principal
    expires_at_s: float  # of Clock.monotonic, which is cheaper to ask than the wall clock
    generation: int


class TokenVerifier:
    """Verifies tokens; a signature costs 140 us, a repeated token 1 us.

    Args:
        keys: the issuer's public keys.
        clock: tells the time for expiry.
        issuer: the only issuer accepted; default "greenledger-auth".
        leeway: how far clocks may be apart; default 5 s.
        most_remembered: verified tokens kept; the oldest goes first. Default 10,000.
    """

    def __init__(
        self,
        keys: JwksSource,
        clock: Clock,
        *,
        issuer: str = ISSUER,
        leeway: timedelta = timedelta(seconds=5),
        most_remembered: int = 10_000,
    ) -> None:
        self._keys = keys
        self._clock = clock
        self._issuer = issuer
        self._leeway_s = leeway.total_seconds()
        self._most = most_remembered
        self._remembered: dict[str, _Verified] = {}

    def remembered(self, token: str) -> Principal | None:
        """The principal of a token that was verified before and has not expired."""
        known = self._remembered.get(token)
        if known is None:
            return None
        now_s = self._clock.monotonic()
        self._keys.refresh_when_old(now_s)
        if known.generation == self._keys.generation and now_s < known.expires_at_s:
            return known.principal
        del self._remembered[token]
        return None

    async def verify(self, token: str) -> Principal:
        """The principal of a token.

        Raises:
            Unauthenticated: TOKEN_INVALID or TOKEN_EXPIRED.
            Unavailable: the issuer's keys are not known yet and cannot be fetched.
        """
        known = self.remembered(token)
        if known is not None:
            return known
        claims = await self._claims(token)
        remaining_s = self._check_times(claims)
        principal = _principal(claims)
        expires_at_s = self._clock.monotonic() + remaining_s
        if len(self._remembered) >= self._most:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[token] = _Verified(principal, expires_at_s, self._keys.generation)
        return principal

    async def _claims(self, token: str) -> Mapping[str, Any]:
        try:
            if len(token) > _MOST_CHARACTERS:
                raise _invalid()
            header = jwt.get_unverified_header(token)
            key_id = header.get("kid")
            # The header is checked before a key is looked up: no key is ever used for another algorithm.
            if header.get("alg") != "RS256" or not isinstance(key_id, str) or "crit" in header:
                raise _invalid()
            key = await self._keys.key(key_id)
            if key is None:
                raise _invalid()
            return jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=list(AUDIENCES),
                issuer=self._issuer,
                options={
                    "require": _REQUIRED,
                    # The times are checked against the injected clock.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except (jwt.InvalidTokenError, ValueError, TypeError) as error:
            raise _invalid() from error

    def _check_times(self, claims: Mapping[str, Any]) -> float:
        now = self._clock.now().timestamp()
        expires_at = _instant(claims["exp"]) + self._leeway_s
        begins_at = max(_instant(claims["iat"]), _instant(claims.get("nbf", 0))) - self._leeway_s
        if begins_at > now:
            raise _invalid()
        if expires_at <= now:
            raise Unauthenticated(reasons.TOKEN_EXPIRED, "The token has expired.")
        return expires_at - now


def _principal(claims: Mapping[str, Any]) -> Principal:
    subject, audience = claims["sub"], claims["aud"]
    audiences: Sequence[str] = [audience] if isinstance(audience, str) else audience
    kind = AUDIENCES.get(audiences[0]) if len(audiences) == 1 else None
    # A token for both audiences, or a user's token for the services, speaks for nobody.
    if not isinstance(subject, str) or not subject or kind is None or claims.get("kind") != kind:
        raise _invalid()
    roles, scope = claims.get("roles", []), claims.get("scope", "")
    if (
        not isinstance(scope, str)
        or not isinstance(roles, list)
        or not all(isinstance(r, str) for r in roles)
    ):
        raise _invalid()
    return Principal(subject, kind, frozenset(roles), frozenset(scope.split()))


def _instant(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise _invalid()
    return float(value)


def _invalid() -> Unauthenticated:
    # One text for all causes: what exactly is wrong would only help to forge.
    return Unauthenticated(reasons.TOKEN_INVALID, "The token is not valid here.")
