"""What became of one attempt of a step."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from asyncpg import PostgresError

from chassis import errors
from chassis.database.errors import summary
from chassis.saga.encoding import encode_object, storable


class StepRejected(Exception):
    """A participant's refusal: permanent and without effect, so the step is neither retried nor undone.

    Only when an earlier attempt left the outcome unknown is the step's undo called all the same.

    Args:
        reason: stable UPPER_SNAKE_CASE code.
        message: one sentence that a client may see.
        metadata: string facts; default none.
    """

    def __init__(self, reason: str, message: str, metadata: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})


REFUSALS: tuple[type[StepRejected] | type[errors.DomainError], ...] = (
    StepRejected,
    errors.InvalidArgument,
    errors.NotFound,
    errors.AlreadyExists,
    errors.FailedPrecondition,
    errors.PermissionDenied,
)
"""Kinds of error that repeat however often one asks; every other error is worth another attempt."""


@dataclass(frozen=True, slots=True)
class Succeeded:
    """The step took effect.

    Args:
        reply: JSON text of an object, None for no reply.
    """

    reply: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """The step had no effect and never will."""

    reason: str
    message: str
    metadata: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Faulted:
    """The attempt failed; of a remote step nobody knows whether it took effect.

    Args:
        reason: stable code of the error, or STEP_FAILED / STEP_TIMED_OUT.
        message: safe for clients.
        detail: for operators only.
        retry_after: the participant's wish; default none.
    """

    reason: str
    message: str
    detail: str
    metadata: Mapping[str, str] = field(default_factory=dict)
    retry_after: timedelta | None = None


Outcome = Succeeded | Refused | Faulted


def encode_reply(reply: Mapping[str, Any] | None) -> str | None:
    """A reply as JSON text; see `encode_object` for what it refuses."""
    return None if reply is None else encode_object(reply)


def outcome_of(error: Exception, step: str) -> Refused | Faulted:
    """Sort an error that an action raised."""
    if isinstance(error, REFUSALS):
        return Refused(error.reason, storable(error.message), _storable_facts(error.metadata))
    detail = storable(
        summary(error) if isinstance(error, PostgresError) else f"{type(error).__name__}: {error}"
    )
    if isinstance(error, errors.DomainError):
        facts = _storable_facts(error.metadata)
        return Faulted(error.reason, storable(error.message), detail, facts, error.retry_after)
    if isinstance(error, TimeoutError):
        return Faulted("STEP_TIMED_OUT", f"step {step} did not answer in time", detail)
    return Faulted("STEP_FAILED", f"step {step} failed", detail)


def _storable_facts(metadata: Mapping[str, str]) -> Mapping[str, str]:
    return {storable(name): storable(str(value)) for name, value in metadata.items()}
