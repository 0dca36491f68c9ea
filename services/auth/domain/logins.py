"""Logins and the refresh tokens that keep them alive (RFC 9700 section 4.14.2)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum, auto
from hashlib import sha256


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long what auth issues is good for.

    Args:
        access_token: of a person; default 15 minutes.
        service_token: default 1 hour.
        refresh_token: without use; default 30 days.
        login: with use; default 90 days.
        ticket: of prepared credentials; default 15 minutes.
    """

    access_token: timedelta = timedelta(minutes=15)
    service_token: timedelta = timedelta(hours=1)
    refresh_token: timedelta = timedelta(days=30)
    login: timedelta = timedelta(days=90)
    ticket: timedelta = timedelta(minutes=15)

    @property
    def longest_token(self) -> timedelta:
        """After this long no token that a key has signed is valid."""
        return max(self.access_token, self.service_token)


@dataclass(frozen=True, slots=True)
class Login:
    """A family of refresh tokens, each made in exchange for the one before.

    Args:
        wallet_id: wallet that began it; None for a password.
    """

    family_id: str
    user_id: str
    created_at: datetime
    expires_at: datetime
    revoked_at: datetime | None = None
    wallet_id: str | None = None


@dataclass(frozen=True, slots=True)
class RefreshToken:
    """One of the family.

    Args:
        digest: SHA-256 of the token, which is kept nowhere.
        used_at: when it was exchanged; None while it can be.
    """

    digest: bytes
    family_id: str
    expires_at: datetime
    used_at: datetime | None = None


class Verdict(Enum):
    """What a presented refresh token is worth."""

    GOOD = auto()
    INVALID = auto()
    REUSED = auto()
    """Two parties have had it, and one of them stole it."""


def judge(login: Login, token: RefreshToken, now: datetime) -> Verdict:
    """Whether a refresh token may be exchanged."""
    if token.used_at is not None:
        return Verdict.REUSED
    if login.revoked_at is not None or now >= min(token.expires_at, login.expires_at):
        return Verdict.INVALID
    return Verdict.GOOD


def digest(secret: str) -> bytes:
    """What is stored of a random token; being random it needs neither salt nor a slow hash."""
    return sha256(secret.encode()).digest()
