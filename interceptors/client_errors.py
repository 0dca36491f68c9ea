"""Errors of callees as domain errors, so that a service's clients need no table of their own."""

import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from datetime import timedelta
from functools import wraps
from types import TracebackType
from typing import Any, ParamSpec, TypeVar

import grpc
from google.protobuf.message import Message

from chassis import errors
from chassis.context import current
from chassis.errors import DomainError, Violation
from interceptors import reasons
from interceptors.status import STATUS_CODES, details_of

P = ParamSpec("P")
R = TypeVar("R")

_KINDS: Mapping[grpc.StatusCode, type[DomainError]] = {
    **{code: kind for kind, code in STATUS_CODES.items()},
    grpc.StatusCode.OUT_OF_RANGE: errors.InvalidArgument,
}
# These speak about the calling service, not about its own caller: passed on, they would log a user out
# because a service's token has expired.
_OUR_CREDENTIALS = frozenset(
    {reasons.TOKEN_MISSING, reasons.TOKEN_INVALID, reasons.TOKEN_EXPIRED, reasons.PERMISSION_DENIED}
)

_OUT_OF_TIME = frozenset({"", reasons.DEADLINE_EXPIRED})
# Of a request with less, the callee had all but the margin that is kept for the answer.
_WORTH_ANOTHER_S = 0.25


def domain_error(error: grpc.RpcError) -> DomainError:
    """What a callee's status means to the calling service.

    Kind, reason, metadata, violations, resource and retry delay are those of the callee. A callee that
    is broken (INTERNAL, UNKNOWN, UNIMPLEMENTED, DATA_LOSS), that was cancelled, or that refused this
    service's own credentials is `Unavailable`, without the callee's text: for the caller's purpose it
    does not answer, and whether the call took effect is unknown. So is one that took longer than it is given
    while the request that is being handled has time left: whoever made that may ask again.

    Args:
        error: raised by a stub; anything without a status counts as a broken callee.
    """
    code = error.code() if isinstance(error, grpc.aio.AioRpcError | grpc.Call) else grpc.StatusCode.UNKNOWN
    trailers = error.trailing_metadata() if isinstance(error, grpc.aio.AioRpcError) else ()
    found = details_of(tuple(trailers or ()))
    info: Any = found.get("ErrorInfo")
    reason = info.reason if info is not None else ""
    kind = _KINDS.get(code)
    if kind is None or reason in _OUR_CREDENTIALS or kind is errors.Unauthenticated:
        return _broken(code, reason)
    if kind is errors.DeadlineExceeded and reason in _OUT_OF_TIME and _time_is_left():
        return _broken(code, reason)
    message = error.details() if isinstance(error, grpc.aio.AioRpcError) else None
    if kind is errors.Unavailable and not reason:
        message = "A service that this one needs does not answer."  # gRPC's own text has addresses
    return kind(
        reason or _default_reason(kind),
        message or code.name,
        metadata=dict(info.metadata) if info is not None else {},
        violations=_violations(found),
        retry_after=_retry_after(found),
        resource=_resource(found),
    )


class callee_errors:
    """Turns a callee's errors into domain errors, around a body or a coroutine function.

    with callee_errors():
        reply = await self._stub.GetLot(request)

    @callee_errors()
    async def lot(self, lot_id: str) -> Lot: ...
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if isinstance(error, grpc.RpcError):
            raise domain_error(error) from error

    def __call__(self, function: Callable[P, Awaitable[R]]) -> Callable[P, Coroutine[Any, Any, R]]:
        @wraps(function)
        async def translated(*args: P.args, **kwargs: P.kwargs) -> R:
            with self:
                return await function(*args, **kwargs)

        return translated


def _broken(code: grpc.StatusCode, reason: str) -> DomainError:
    facts = {"callee_code": code.name} | ({"callee_reason": reason} if reason else {})
    message = "A service that this one needs cannot do its work at present."
    return errors.Unavailable(reasons.UNAVAILABLE, message, metadata=facts)


def _time_is_left() -> bool:
    deadline = current().deadline
    return deadline is not None and deadline - time.monotonic() > _WORTH_ANOTHER_S


def _default_reason(kind: type[DomainError]) -> str:
    if kind is errors.DeadlineExceeded:
        return reasons.DEADLINE_EXPIRED
    return reasons.UNAVAILABLE if kind is errors.Unavailable else STATUS_CODES[kind].name


def _violations(found: Mapping[str, Message]) -> list[Violation]:
    bad: Any = found.get("BadRequest")
    if bad is not None:
        return [Violation(v.field, v.description) for v in bad.field_violations]
    failure: Any = found.get("PreconditionFailure") or found.get("QuotaFailure")
    return [] if failure is None else [Violation(v.subject, v.description) for v in failure.violations]


def _retry_after(found: Mapping[str, Message]) -> timedelta | None:
    retry: Any = found.get("RetryInfo")
    return None if retry is None else retry.retry_delay.ToTimedelta()


def _resource(found: Mapping[str, Message]) -> tuple[str, str] | None:
    resource: Any = found.get("ResourceInfo")
    return None if resource is None else (resource.resource_type, resource.resource_name)
