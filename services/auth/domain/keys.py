"""Signing keys and their rotation with overlap."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key by its id.

    Args:
        active_from: it is published at once and signs from then on, so that every verifier has it by then.
        retired_at: when the last token that it signed has expired; None until it has a successor.
    """

    kid: str
    created_at: datetime
    active_from: datetime
    retired_at: datetime | None = None


def signer(keys: Iterable[SigningKey], now: datetime) -> SigningKey | None:
    """The key that signs: the newest that is active and not retired."""
    active = [key for key in keys if key.active_from <= now and not _retired(key, now)]
    return max(active, key=lambda key: (key.active_from, key.kid), default=None)


def published(keys: Iterable[SigningKey], now: datetime) -> list[SigningKey]:
    """The keys that verify, those to come included."""
    return [key for key in keys if not _retired(key, now)]


def retirement(successor: SigningKey, longest_token: timedelta, lead: timedelta) -> datetime:
    """When a key can go whose successor this is.

    Args:
        successor: the newer key.
        longest_token: longest life of a token.
        lead: how late another replica may learn of the successor.
    """
    return successor.active_from + longest_token + lead


def _retired(key: SigningKey, now: datetime) -> bool:
    return key.retired_at is not None and key.retired_at <= now
