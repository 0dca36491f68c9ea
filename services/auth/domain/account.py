"""Credentials of a person, and those that wait for one."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Account:
    """Who can log in.

    Args:
        email: as given; it is compared without regard to case.
        password_hash: PHC string.
        roles: names in ascending order.
    """

    user_id: str
    email: str
    password_hash: str
    roles: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Prepared:
    """A hashed password that is not anybody's yet.

    Args:
        ticket_digest: SHA-256 of the ticket that names it.
    """

    ticket_digest: bytes
    email: str
    password_hash: str
    role: str
    expires_at: datetime
