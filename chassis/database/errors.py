"""The one place where the driver's failures become kinds that callers understand.

What says something about the data (unique, foreign key, check) is left alone: only the adapter that
wrote the statement knows what it means.
"""

import asyncpg

from chassis.errors import Aborted, DeadlineExceeded, DomainError, InvalidArgument, Unavailable

_CONCURRENT = (
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)
_LOST = (
    asyncpg.PostgresConnectionError,
    asyncpg.CannotConnectNowError,
    asyncpg.AdminShutdownError,
    asyncpg.CrashShutdownError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.TooManyConnectionsError,
    OSError,
)

# PostgreSQL stores any text but the NUL character, in text (first) and in jsonb (second).
_UNSTORABLE = (asyncpg.CharacterNotInRepertoireError, asyncpg.UntranslatableCharacterError)
_CLOSED = ("is closed", "was closed")

DRIVER_ERRORS: tuple[type[Exception], ...] = (
    *_CONCURRENT,
    *_LOST,
    asyncpg.QueryCanceledError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    *_UNSTORABLE,
)
"""What to catch before asking `translate`."""


class DatabaseUnavailable(Unavailable):
    """Our own database cannot be reached; a peer that says UNAVAILABLE is another matter."""

    def __init__(self) -> None:
        super().__init__("UNAVAILABLE", "The database cannot be reached.")


class TransactionFailedError(RuntimeError):
    """A part of the transaction failed and its error was swallowed: a mistake in the code around it."""


def translate(error: Exception) -> Exception:
    """The kind of error that a caller can act on.

    Args:
        error: anything raised by asyncpg or the socket below it.

    Returns:
        `Aborted` for deadlock, serialization failure and lock timeout (repeat the transaction);
        `DatabaseUnavailable` for a lost or refused connection; `DeadlineExceeded` for a cancelled statement;
        `InvalidArgument` for text with a NUL character, which no database here can hold;
        the error itself when it is about the data or a programming mistake.
    """
    if isinstance(error, DomainError):
        return error
    if isinstance(error, _CONCURRENT):
        return Aborted("CONCURRENT_CHANGE", "A concurrent transaction won; repeat the operation.")
    if isinstance(error, asyncpg.QueryCanceledError):
        return DeadlineExceeded("DEADLINE_EXPIRED", "The database stopped the statement: it took too long.")
    if isinstance(error, _UNSTORABLE):
        return InvalidArgument("VALIDATION_FAILED", "Text must not contain the NUL character.")
    if isinstance(error, _LOST) or _says_closed(error):
        return DatabaseUnavailable()
    return error


def summary(error: asyncpg.PostgresError) -> str:
    """What failed, without the row that it failed on: PostgreSQL's DETAIL quotes values, some personal."""
    constraint = getattr(error, "constraint_name", None)
    return f"{type(error).__name__} {error.sqlstate}: {error.args[0]}" + (
        f" ({constraint})" if constraint else ""
    )


def _says_closed(error: Exception) -> bool:
    # asyncpg raises InterfaceError both for misuse and for a connection that died while it was idle,
    # and InternalClientError when a statement meets the server's farewell before the socket closes.
    text = str(error)
    if isinstance(error, asyncpg.InternalClientError):
        return "cannot switch to state" in text
    return isinstance(error, asyncpg.InterfaceError) and any(sign in text for sign in _CLOSED)
