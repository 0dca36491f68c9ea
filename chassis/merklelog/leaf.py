"""An event as the bytes that its leaf is the hash of. What is written here holds for ever.

The bytes are JSON in the canonical form of RFC 8785 (JCS), so that an outsider can make them again from the
same facts with any implementation of it. Numbers that two programs may write differently are refused:
fractions (amounts are text everywhere) and integers beyond 2^53 - 1.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

LEAF_FORMAT = "greenledger-leaf-v1"
MOST_INTEGER = 2**53 - 1
_DEEPEST = 100
_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET = re.compile(r"[\[\]{}]")

_encoder = json.JSONEncoder(ensure_ascii=False, allow_nan=False, sort_keys=True, separators=(",", ":"))
_keeping_order = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))


class CanonicalFormError(ValueError):
    """A value has no canonical form, or bytes are not in it; the message says where."""


class StoredEvent(Protocol):
    """The stored fields of an event, none left out and none upcast."""

    @property
    def position(self) -> int: ...
    @property
    def stream_id(self) -> str: ...
    @property
    def version(self) -> int: ...
    @property
    def type(self) -> str: ...
    @property
    def schema_version(self) -> int: ...
    @property
    def data(self) -> Mapping[str, Any]: ...
    @property
    def meta(self) -> Mapping[str, Any]: ...
    @property
    def event_id(self) -> str: ...
    @property
    def recorded_at(self) -> datetime: ...


def event_leaf(event: StoredEvent) -> bytes:
    """The canonical bytes of an event.

    All of `data` and `meta` are bound, and with them the actor, the time and zone of what happened and
    a declaration of error, wherever a service keeps those.

    Raises:
        CanonicalFormError: data or meta hold a fraction, a large integer or what is not JSON.
    """
    return canonical_json(
        {
            "format": LEAF_FORMAT,
            "event_id": str(UUID(event.event_id)),
            "stream_id": event.stream_id,
            "version": event.version,
            "position": event.position,
            "type": event.type,
            "schema_version": event.schema_version,
            "recorded_at": utc_text(event.recorded_at),
            "meta": event.meta,
            "data": event.data,
        }
    )


def parse_leaf(leaf: bytes) -> dict[str, Any]:
    """The fields of canonical bytes.

    Raises:
        CanonicalFormError: they are not the canonical form of a leaf, so that two readers might see
            different facts in them.
    """
    try:
        fields = load_json(leaf)
    except ValueError as error:
        raise CanonicalFormError(f"the leaf is not JSON: {error}") from None
    if not isinstance(fields, dict) or fields.get("format") != LEAF_FORMAT:
        raise CanonicalFormError(f"the leaf is not of the format {LEAF_FORMAT}")
    if canonical_json(fields) != leaf:
        raise CanonicalFormError("the leaf is not in canonical form (RFC 8785)")
    return fields


def load_json(text: str | bytes, **options: Any) -> Any:
    """`json.loads` for text of strangers: nesting is bounded here, not by the interpreter's stack.

    Args:
        text: JSON.
        options: as of `json.loads`.

    Raises:
        ValueError: it is not JSON, not UTF-8, or nested more than 100 levels deep.
    """
    if isinstance(text, bytes):
        text = text.decode()
    depth = 0
    for bracket in _BRACKET.findall(_STRING.sub("", text)):
        depth += 1 if bracket in "[{" else -1
        if depth > _DEEPEST:
            raise ValueError(f"it is nested deeper than {_DEEPEST} levels")
    return json.loads(text, **options)


def canonical_json(value: Any) -> bytes:
    """JSON in the canonical form of RFC 8785.

    Args:
        value: of dicts with text keys, lists, tuples, text, integers within ±(2^53 - 1), bool and None.

    Raises:
        CanonicalFormError: it holds anything else; the path to it is named.
    """
    try:
        _check(value, "$")
        text = _encoder.encode(value)
        if not text.isascii() and max(text) > "\uffff":
            # Beyond the basic plane the order of UTF-16 code units, which the RFC asks for, is another.
            text = _keeping_order.encode(_ordered(value))
        return text.encode()
    except (RecursionError, UnicodeEncodeError) as error:
        raise CanonicalFormError(f"the value has no canonical form: {error}") from None


def utc_text(moment: datetime) -> str:
    """An aware time as RFC 3339 in UTC with microseconds, always of one length."""
    return moment.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="microseconds") + "Z"


def _check(value: Any, path: str) -> None:
    if value is None or isinstance(value, str | bool):
        return
    if isinstance(value, int):
        if abs(value) > MOST_INTEGER:
            raise CanonicalFormError(f"{path} is an integer beyond 2^53 - 1: store it as text")
    elif isinstance(value, dict):
        for key, entry in value.items():
            if not isinstance(key, str):
                raise CanonicalFormError(f"{path} has a key that is not text")
            if entry is not None and type(entry) is not str:
                _check(entry, f"{path}.{key}")
    elif isinstance(value, list | tuple):
        for number, entry in enumerate(value):
            _check(entry, f"{path}[{number}]")
    else:
        raise CanonicalFormError(f"{path} is a {type(value).__name__}: store it as text")


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value, key=_utf16)}
    if isinstance(value, list | tuple):
        return [_ordered(entry) for entry in value]
    return value


def _utf16(key: str) -> bytes:
    return key.encode("utf-16-be")
