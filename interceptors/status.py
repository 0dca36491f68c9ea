"""Domain errors as gRPC statuses with details (AIP-193), and back."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message
from google.rpc import error_details_pb2 as details_pb2
from google.rpc import status_pb2

from chassis import errors
from chassis.errors import DomainError, Violation

DOMAIN = "greenledger"
DETAILS_KEY = "grpc-status-details-bin"
PUSHBACK_KEY = "grpc-retry-pushback-ms"
NOT_BEGUN_KEY = "x-greenledger-not-begun"
"""Trailer of a refusal before which nothing was done: any call may then be made of another instance."""

STATUS_CODES: Mapping[type[DomainError], grpc.StatusCode] = {
    errors.InvalidArgument: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.AlreadyExists: grpc.StatusCode.ALREADY_EXISTS,
    errors.FailedPrecondition: grpc.StatusCode.FAILED_PRECONDITION,
    errors.PermissionDenied: grpc.StatusCode.PERMISSION_DENIED,
    errors.Unauthenticated: grpc.StatusCode.UNAUTHENTICATED,
    errors.Aborted: grpc.StatusCode.ABORTED,
    errors.ResourceExhausted: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.DeadlineExceeded: grpc.StatusCode.DEADLINE_EXCEEDED,
}
"""The one table from kinds to statuses."""


class NotBegun(errors.Unavailable):
    """This instance does nothing of the call; another one may do it, also what must not be done twice."""


# Trailers above 8 KiB are refused by gRPC clients, and details travel as base64 (4/3).
_MOST_DETAIL_BYTES = 4096
_MOST_MESSAGE_CHARACTERS = 400
_MOST_TEXT_CHARACTERS = 200


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status as it goes on the wire."""

    code: grpc.StatusCode
    message: str
    details: Sequence[Message]
    not_begun: bool = False

    @property
    def reason(self) -> str:
        """ErrorInfo.reason, or empty."""
        return next((d.reason for d in self.details if isinstance(d, details_pb2.ErrorInfo)), "")

    def trailers(self) -> tuple[tuple[str, str | bytes], ...]:
        """Trailing metadata: the details, and for retries when to try again and whether any call may be.

        Details that would not fit are left out from the end; the first, ErrorInfo, always fits.
        """
        status = status_pb2.Status(code=self.code.value[0], message=self.message)
        size = 0
        for detail in self.details:
            packed = AnyMessage()
            packed.Pack(detail)
            size += packed.ByteSize()
            if size <= _MOST_DETAIL_BYTES:
                status.details.append(packed)
        trailers: list[tuple[str, str | bytes]] = [(DETAILS_KEY, status.SerializeToString())]
        if self.code is grpc.StatusCode.UNAVAILABLE:
            trailers += [(PUSHBACK_KEY, str(ms)) for ms in _retry_delays_ms(self.details)]
        if self.not_begun:
            trailers.append((NOT_BEGUN_KEY, "true"))
        return tuple(trailers)


def status_code(error: DomainError) -> grpc.StatusCode:
    """The status of an error by its kind; subclasses of a kind have the kind's."""
    return next(STATUS_CODES[kind] for kind in type(error).__mro__ if kind in STATUS_CODES)


def refusal(error: DomainError) -> Refusal:
    """The status and all details that tell a client what the domain error says."""
    info = details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    for key, value in error.metadata.items():
        info.metadata[key] = _short(value)
    details: list[Message] = [info]
    if error.retry_after is not None:
        retry = details_pb2.RetryInfo()
        retry.retry_delay.FromTimedelta(error.retry_after)
        details.append(retry)
    if error.resource is not None:
        kind, name = error.resource
        details.append(details_pb2.ResourceInfo(resource_type=kind, resource_name=_short(name)))
    if error.violations:
        details.append(_violations(error))
    message = error.message[:_MOST_MESSAGE_CHARACTERS]
    return Refusal(status_code(error), message, details, not_begun=isinstance(error, NotBegun))


def details_of(trailers: Iterable[tuple[str, str | bytes]] | None) -> dict[str, Message]:
    """The details of a received status by type name (ErrorInfo, BadRequest, ...); malformed ones go."""
    found: dict[str, Message] = {}
    for key, value in trailers or ():
        if key != DETAILS_KEY or not isinstance(value, bytes):
            continue
        try:
            status = status_pb2.Status.FromString(value)
            for packed in status.details:
                name = packed.TypeName().rpartition(".")[2]
                kind = _DETAIL_TYPES.get(name)
                if kind is not None:
                    found[name] = kind.FromString(packed.value)
        except DecodeError:
            continue
    return found


_DETAIL_TYPES: Mapping[str, type[Message]] = {
    kind.DESCRIPTOR.name: kind
    for kind in (
        details_pb2.ErrorInfo,
        details_pb2.BadRequest,
        details_pb2.PreconditionFailure,
        details_pb2.QuotaFailure,
        details_pb2.ResourceInfo,
        details_pb2.RetryInfo,
    )
}


def _violations(error: DomainError) -> Message:
    chosen = list(_that_fit(error.violations))
    if isinstance(error, errors.FailedPrecondition):
        failure = details_pb2.PreconditionFailure()
        for violation in chosen:
            failure.violations.add(
                type=error.reason, subject=violation.field, description=violation.description
            )
        return cast(Message, failure)
    if isinstance(error, errors.ResourceExhausted):
        quota = details_pb2.QuotaFailure()
        for violation in chosen:
            quota.violations.add(subject=violation.field, description=violation.description)
        return cast(Message, quota)
    bad = details_pb2.BadRequest()
    for violation in chosen:
        bad.field_violations.add(field=violation.field, description=violation.description)
    return cast(Message, bad)


def _that_fit(violations: Iterable[Violation]) -> Iterable[Violation]:
    size = 0
    for violation in violations:
        short = Violation(_short(violation.field), _short(violation.description))
        size += len(short.field.encode()) + len(short.description.encode()) + 8
        if size > _MOST_DETAIL_BYTES // 2:
            return
        yield short


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT_CHARACTERS else text[: _MOST_TEXT_CHARACTERS - 1] + "…"


def _retry_delays_ms(details: Iterable[Message]) -> Iterable[int]:
    for detail in details:
        if isinstance(detail, details_pb2.RetryInfo):
            yield int(detail.retry_delay.ToTimedelta().total_seconds() * 1000)
