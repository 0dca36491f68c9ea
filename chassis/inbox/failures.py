"""Which failures pass by themselves, and which need somebody."""

from enum import Enum

import asyncpg

from chassis.database import translate
from chassis.database.errors import DatabaseUnavailable, summary
from chassis.errors import Aborted, DeadlineExceeded, DomainError, Unavailable

_LONGEST_REASON = 1000
_LONGEST_WISH_S = 60.0


class Failure(Enum):
    """What a failed attempt means for the event."""

    INFRASTRUCTURE = "infrastructure"
    """Our own database is away: no event is to blame, so wait as long as it takes."""
    TRANSIENT = "transient"
    """Likely to succeed later: try again, but not for ever."""
    PERMANENT = "permanent"
    """Trying again would fail in the same way."""


def classify(error: Exception) -> Failure:
    """The kind of a failure.

    A bare OSError (TimeoutError and ConnectionError are among them) comes from the handler itself: the
    database layer has turned its own into DatabaseUnavailable already.
    """
    if isinstance(error, asyncpg.PostgresError | asyncpg.InterfaceError):
        error = translate(error)
    if isinstance(error, DatabaseUnavailable):
        return Failure.INFRASTRUCTURE
    if isinstance(error, Unavailable | Aborted | DeadlineExceeded | OSError):
        return Failure.TRANSIENT
    return Failure.PERMANENT


def asked_for_s(error: Exception) -> float:
    """Seconds that the failure asks to be waited at least, 0 when it does not; a minute at most.

    An open circuit breaker refuses at once: without waiting for it, an event would spend all its attempts and
    be parked while the service that it needs has long been back.
    """
    asked_for = error.retry_after if isinstance(error, DomainError) else None
    return 0.0 if asked_for is None else min(asked_for.total_seconds(), _LONGEST_WISH_S)


def reason_of(error: Exception) -> str:
    """Short and bounded in variety: a label for metrics."""
    return error.reason if isinstance(error, DomainError) else type(error).__name__


def describe(error: Exception) -> str:
    """One line for an operator, without the data that a statement failed on, and storable."""
    if isinstance(error, asyncpg.PostgresError):
        return summary(error)[:_LONGEST_REASON]
    kind = (
        f"{type(error).__name__}({error.reason})" if isinstance(error, DomainError) else type(error).__name__
    )
    text = str(error) or (
        "it took longer than its time limit" if isinstance(error, TimeoutError) else "no message"
    )
    return f"{kind}: {text}".replace("\0", "\ufffd")[:_LONGEST_REASON]
