"""Requests are parsed and checked against the rules in their proto (protovalidate) before a handler runs."""

from collections.abc import AsyncIterator, Callable
from typing import Any

from google.protobuf.message import DecodeError, Message
from protovalidate import Validator

from chassis.errors import InvalidArgument, Violation
from interceptors import reasons
from interceptors.call import Call, Method, Proceed


class Validate:
    """Parses, and refuses what breaks a rule with every field at fault; each message of a stream alike.

    With this policy a handler reads streamed requests from its iterator; `context.read()` gives raw bytes.

    Args:
        validator: compiled once and shared; default a new one.
    """

    def __init__(self, validator: Validator | None = None) -> None:
        self._validator = validator or Validator()

    def around(self, method: Method, proceed: Proceed) -> Proceed:
        """Every method that parses; rules are compiled now, so that a broken one shows at the first call."""
        if method.parse is None:
            return proceed
        if method.request_type is not None:
            self._validator.collect_violations(method.request_type())
        read = self._reader(method.parse)
        if method.streams_requests:
            return _each(read, proceed)

        async def check(request: bytes, call: Call) -> Any:
            return await proceed(read(request), call)

        return check

    def _reader(self, parse: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
        collect = self._validator.collect_violations

        def read(data: bytes) -> Any:
            try:
                message = parse(data)
            except DecodeError:
                raise InvalidArgument(reasons.MALFORMED_REQUEST, "The request cannot be decoded.") from None
            if isinstance(message, Message) and (found := collect(message)):
                violations = [Violation(field_path(v.proto.field), v.proto.message or "") for v in found]
                raise InvalidArgument(
                    reasons.VALIDATION_FAILED,
                    "The request breaks rules of the contract.",
                    violations=violations,
                )
            return message

        return read


def field_path(path: Any) -> str:
    """A field path as `items[2].labels["eu"].amount`; empty for a rule of the whole message."""
    parts: list[str] = []
    for element in path.elements if path is not None else ():
        subscript = element.subscript
        name = element.field_name or ""
        parts.append(f"{name}{_subscript(subscript)}")
    return ".".join(parts)


def _subscript(subscript: Any) -> str:
    if subscript is None:
        return ""
    if subscript.field == "index":
        return f"[{subscript.value}]"
    value = subscript.value
    if isinstance(value, str):
        return f'["{value}"]'
    return f"[{str(value).lower() if isinstance(value, bool) else value}]"


def _each(read: Callable[[bytes], Any], proceed: Proceed) -> Proceed:
    async def check(requests: AsyncIterator[bytes], call: Call) -> Any:
        return await proceed(_read_all(requests, read), call)

    return check


async def _read_all(requests: AsyncIterator[bytes], read: Callable[[bytes], Any]) -> AsyncIterator[Any]:
    async for request in requests:
        yield read(request)
