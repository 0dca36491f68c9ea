"""Kinds of domain error.

The domain raises these; `interceptors` turns each kind into a gRPC status in one table. Standard
library only, because every domain package imports this module.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class Violation:
    """One broken rule of a request: the field's path (`items[2].quantity`) and what is wrong with it."""

    field: str
    description: str


class DomainError(Exception):
    """A refusal that the caller may see.

    Raise one of the subclasses; the subclass is the kind.

    Args:
        reason: stable UPPER_SNAKE_CASE code, part of the contract (google.rpc.ErrorInfo.reason).
        message: one English sentence for a developer; no internal detail, it leaves the process.
        metadata: string facts for ErrorInfo.metadata; default none.
        violations: fields at fault, for BadRequest; default none.
        retry_after: when trying again makes sense, for RetryInfo; default unknown.
        resource: (type, name) of the resource concerned, for ResourceInfo; default none.

    Source: AIP-193, google.rpc.error_details.
    """

    def __init__(
        self,
        reason: str,
        message: str,
        *,
        metadata: Mapping[str, str] | None = None,
        violations: Sequence[Violation] = (),
        retry_after: timedelta | None = None,
        resource: tuple[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.metadata: dict[str, str] = dict(metadata or {})
        self.violations = tuple(violations)
        self.retry_after = retry_after
        self.resource = resource

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.reason!r}, {self.message!r})"


class InvalidArgument(DomainError):
    """The request is wrong whatever the state of the system."""


class NotFound(DomainError):
    """The named thing does not exist, or the caller may not know that it does."""


class AlreadyExists(DomainError):
    """The thing to create is there already."""


class FailedPrecondition(DomainError):
    """The state forbids it; the caller must change the state before trying again."""


class PermissionDenied(DomainError):
    """The caller is known and may not do this."""


class Unauthenticated(DomainError):
    """The caller is not known."""


class Aborted(DomainError):
    """A concurrent change won; read again and repeat the whole operation."""


class ResourceExhausted(DomainError):
    """A quota or a bound is used up."""


class Unavailable(DomainError):
    """A dependency cannot be reached at present; the same request may succeed later."""


class DeadlineExceeded(DomainError):
    """Time ran out; whether the operation took effect is unknown."""


KINDS: tuple[type[DomainError], ...] = (
    InvalidArgument,
    NotFound,
    AlreadyExists,
    FailedPrecondition,
    PermissionDenied,
    Unauthenticated,
    Aborted,
    ResourceExhausted,
    Unavailable,
    DeadlineExceeded,
)
"""Every kind, for tables that must be complete."""
