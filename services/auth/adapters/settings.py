"""Settings that only auth has."""

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from chassis.settings import PREFIX, SettingsError


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

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> Self:
        """Read them.

        Raises:
            SettingsError: one is no positive whole number.
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
        )
