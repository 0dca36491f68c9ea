"""Settings that only auth has."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from chassis.settings import PREFIX, SettingsError
from services.auth.domain.uris import is_domain, parse_uri
from services.auth.domain.wallets import WalletRules


@dataclass(frozen=True, slots=True)
class AuthSettings:
    """Each is the environment variable GREENLEDGER_<NAME>; lengths of time carry their unit in the name.

    Args:
        argon2_memory_kib: memory of one hash; default 19456 (19 MiB).
        argon2_time_cost: passes; default 2.
        argon2_parallelism: lanes; default 1.
        hashing_concurrency: hashes made at once; default 2.
        access_token: life of a person's token; default 15 minutes (ACCESS_TOKEN_S).
        refresh_token: life of a refresh token without use; default 30 days (REFRESH_TOKEN_S).
        login: life of a login with use; default 90 days (LOGIN_S).
        key_lead: between publication and first use of a signing key; default 15 s (KEY_LEAD_S). Longer
            than any verifier takes to see a new key.
        key_age: a signing key is replaced after this; default 30 days (KEY_AGE_S).
        wallet_origins: places that may ask a wallet for a signature, as scheme://host[:port] separated by
            commas; default http://127.0.0.1:8080.
        wallet_chains: EIP-155 ids of the chains that a wallet's message may name, separated by commas;
            default 1.
        wallet_challenge: life of a wallet's challenge; default 5 minutes (WALLET_CHALLENGE_S).
        wallet_clock_skew: how far the clock that dated a wallet's message may be off; default 1 minute
            (WALLET_CLOCK_SKEW_S).

    Source: the costs are the second choice of the OWASP Password Storage Cheat Sheet.
    """

    argon2_memory_kib: int = 19_456
    argon2_time_cost: int = 2
    argon2_parallelism: int = 1
    hashing_concurrency: int = 2
    access_token: timedelta = timedelta(minutes=15)
    refresh_token: timedelta = timedelta(days=30)
    login: timedelta = timedelta(days=90)
    key_lead: timedelta = timedelta(seconds=15)
    key_age: timedelta = timedelta(days=30)
    wallet_origins: tuple[str, ...] = ("http://127.0.0.1:8080",)
    wallet_chains: tuple[int, ...] = (1,)
    wallet_challenge: timedelta = timedelta(minutes=5)
    wallet_clock_skew: timedelta = timedelta(minutes=1)

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read them.

        Raises:
            SettingsError: one is no positive whole number, or no list of what it should be.
        """
        default = cls()

        def number(name: str, fallback: int) -> int:
            text = environ.get(PREFIX + name) or str(fallback)
            if not text.isascii() or not text.isdigit() or int(text) < 1:
                raise SettingsError(f"{PREFIX}{name} is {text!r}; expected a positive whole number")
            return int(text)

        def seconds(name: str, fallback: timedelta) -> timedelta:
            return timedelta(seconds=number(name, int(fallback.total_seconds())))

        return cls(
            argon2_memory_kib=number("ARGON2_MEMORY_KIB", default.argon2_memory_kib),
            argon2_time_cost=number("ARGON2_TIME_COST", default.argon2_time_cost),
            argon2_parallelism=number("ARGON2_PARALLELISM", default.argon2_parallelism),
            hashing_concurrency=number("HASHING_CONCURRENCY", default.hashing_concurrency),
            access_token=seconds("ACCESS_TOKEN_S", default.access_token),
            refresh_token=seconds("REFRESH_TOKEN_S", default.refresh_token),
            login=seconds("LOGIN_S", default.login),
            key_lead=seconds("KEY_LEAD_S", default.key_lead),
            key_age=seconds("KEY_AGE_S", default.key_age),
            wallet_origins=_origins(environ.get(PREFIX + "WALLET_ORIGINS")) or default.wallet_origins,
            wallet_chains=_chains(environ.get(PREFIX + "WALLET_CHAINS")) or default.wallet_chains,
            wallet_challenge=seconds("WALLET_CHALLENGE_S", default.wallet_challenge),
            wallet_clock_skew=seconds("WALLET_CLOCK_SKEW_S", default.wallet_clock_skew),
        )

    @property
    def wallet_rules(self) -> WalletRules:
        """What is accepted of wallets."""
        return WalletRules(
            self.wallet_origins, self.wallet_chains, self.wallet_challenge, self.wallet_clock_skew
        )


def _origins(text: str | None) -> tuple[str, ...]:
    found = []
    for part in _parts(text):
        uri = parse_uri(part)
        if uri is None or uri.origin != part.lower() or not is_domain(uri.authority or ""):
            raise SettingsError(f"{PREFIX}WALLET_ORIGINS has {part!r}; expected scheme://host[:port]")
        found.append(uri.origin)
    return tuple(found)


def _chains(text: str | None) -> tuple[int, ...]:
    parts = _parts(text)
    if not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise SettingsError(f"{PREFIX}WALLET_CHAINS is {text!r}; expected positive whole numbers")
    return tuple(map(int, parts))


def _parts(text: str | None) -> list[str]:
    return [part.strip() for part in (text or "").split(",") if part.strip()]
