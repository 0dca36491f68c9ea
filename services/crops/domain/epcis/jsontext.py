"""JSON text that keeps every number exactly, bounded against hostile input."""

import json
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from json.encoder import encode_basestring_ascii
from typing import Any, Final

from services.crops.domain.epcis.problems import Code, NotEpcis, one, shown, step

Json = Any
"""None, bool, int, Decimal, str, list[Json] or dict[str, Json]; a float is read by its repr."""

EXACT: Final = 2**53
"""Whole numbers beyond this are not the same in every reader (RFC 7493 section 2.2)."""
_LONGEST_NUMBER: Final = 64
_LARGEST_EXPONENT: Final = 308
_DEEPEST: Final = 200
_MOST_VALUES: Final = 1_000_000
_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_BRACKET: Final = re.compile(r"[\[\]{}]")


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of what is read.

    Args:
        event_bytes: largest single event as JSON text, default 10 MB.
        head_bytes: largest document without its events, default 10 MB.
        depth: deepest nesting inside one event, default 64.
        nodes: most values inside one event, default 200,000.
        spool_bytes: most events before the document's `@context` and type, default 256 MB.
        spool_events: the same by their number, default 2,000,000.
    """

    event_bytes: int = 10_000_000
    head_bytes: int = 10_000_000
    depth: int = 64
    nodes: int = 200_000
    spool_bytes: int = 256_000_000
    spool_events: int = 2_000_000


DEFAULT_LIMITS: Final = Limits()


class _BadNumber(Exception):
    """A number that is not kept; in a value that was read to find it, it stands where the number was."""


def _whole(text: str) -> int:
    if len(text) > _LONGEST_NUMBER:
        raise _BadNumber(f"a number has {len(text)} characters")
    return int(text)


def _decimal(text: str) -> Decimal:
    number = Decimal(text) if len(text) <= _LONGEST_NUMBER else None
    if number is None or abs(number.adjusted()) > _LARGEST_EXPONENT:
        raise _BadNumber(f"the number {shown(text)} is out of range")
    return number


def _constant(text: str) -> Json:
    raise _BadNumber(f"{text} is not a number in JSON")


def _found(read: Callable[[str], Json]) -> Callable[[str], Json]:
    def found(text: str) -> Json:
        try:
            return read(text)
        except _BadNumber as bad:
            return bad

    return found


_DECODER: Final = json.JSONDecoder(parse_int=_whole, parse_float=_decimal, parse_constant=_constant)
_FINDER: Final = json.JSONDecoder(
    parse_int=_found(_whole), parse_float=_found(_decimal), parse_constant=_found(_constant)
)


def loads(text: str | bytes | bytearray) -> Json:
    """Read one JSON text: decimals stay exact, NaN and Infinity are refused.

    Of a key that occurs twice in one object the last one counts, as in nearly every reader: an official
    example has such a one.

    Raises:
        NotEpcis: NOT_JSON, NUMBER_OUT_OF_RANGE (with the field), TOO_DEEP or TOO_LARGE.

    Source: RFC 8259, RFC 7493 (I-JSON).
    """
    try:
        if not isinstance(text, str):
            text = text.decode("utf-8")
        _refuse_bombs(text)
        return _DECODER.decode(text)
    except _BadNumber as bad:
        raise _located(text, bad) from None
    except UnicodeDecodeError as error:
        raise one("", Code.NOT_JSON, f"byte {error.start} is not UTF-8") from None
    except json.JSONDecodeError as error:
        raise one("", Code.NOT_JSON, f"{error.msg} at character {error.pos}") from None


def _refuse_bombs(text: str) -> None:
    # Before decoding: the decoder recurses, and would trust the interpreter's stack with what strangers send;
    # and a value of two bytes is an object of a hundred.
    bare = _STRING.sub("", text)
    if bare.count(",") + bare.count("[") + bare.count("{") > _MOST_VALUES:
        raise one("", Code.TOO_LARGE, f"more than {_MOST_VALUES} values")
    depth = 0
    for bracket in _BRACKET.finditer(bare):
        depth += 1 if bracket[0] in "[{" else -1
        if depth > _DEEPEST:
            raise one("", Code.TOO_DEEP, f"nested deeper than {_DEEPEST} levels")


def _located(text: str | bytes | bytearray, bad: _BadNumber) -> NotEpcis:
    """Reads once more to say where the number is, since the decoder does not know."""
    try:
        value = _FINDER.decode(text if isinstance(text, str) else text.decode("utf-8"))
    except json.JSONDecodeError as error:
        return one("", Code.NOT_JSON, f"{error.msg} at character {error.pos}")
    pointer, found = _first(value, "", lambda item: isinstance(item, _BadNumber)) or ("", bad)
    return one(pointer, Code.NUMBER_OUT_OF_RANGE, str(found))


def dumps(value: Json) -> str:
    """Write JSON text; a Decimal is written digit by digit as it was read.

    Raises:
        TypeError: a value that JSON has no form for.
    """
    parts: list[str] = []
    _write(value, parts)
    return "".join(parts)


def _write(value: Json, parts: list[str]) -> None:
    if isinstance(value, str):
        parts.append(encode_basestring_ascii(value))
    elif value is None or isinstance(value, bool):
        parts.append({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, int | Decimal):
        parts.append(str(value))
    elif isinstance(value, float):
        parts.append(repr(value))
    elif isinstance(value, Mapping):
        opening = "{"
        for name, item in value.items():
            parts.append(f"{opening}{encode_basestring_ascii(name)}:")
            _write(item, parts)
            opening = ","
        parts.append("{}" if opening == "{" else "}")
    elif isinstance(value, list | tuple):
        opening = "["
        for item in value:
            parts.append(opening)
            _write(item, parts)
            opening = ","
        parts.append("[]" if opening == "[" else "]")
    else:
        raise TypeError(f"{type(value).__name__} has no JSON form")


def check_bounds(value: Json, at: str = "", limits: Limits = DEFAULT_LIMITS) -> None:
    """Refuse what is too deep, has too many values or cannot be stored as text.

    Raises:
        NotEpcis: TOO_DEEP, TOO_LARGE, NOT_STORABLE (NUL or half a surrogate pair) or NUMBER_OUT_OF_RANGE.
    """
    level: list[Json] = [value]
    nodes = depth = 0
    while level:
        nodes += len(level)
        containers = [item for item in level if isinstance(item, dict | list)]
        depth += 1
        if nodes > limits.nodes:
            raise one(at, Code.TOO_LARGE, f"more than {limits.nodes} values in one event")
        if containers and depth > limits.depth:
            raise one(at, Code.TOO_DEEP, f"nested deeper than {limits.depth} levels")
        if not all(map(_is_sound, level)):
            raise _unsound(value, at)
        level = []
        for item in containers:
            if isinstance(item, list):
                level += item
            else:
                level += item
                level += item.values()


def _is_sound(item: Json) -> bool:
    if isinstance(item, str):
        return (item.isascii() or _is_unicode(item)) and "\x00" not in item
    if isinstance(item, Decimal):
        return item.is_finite()
    return not isinstance(item, float) or math.isfinite(item)


def _is_unicode(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _unsound(value: Json, at: str) -> NotEpcis:
    """Finds again where it was, since building the pointers on the way would cost more than the check."""
    pointer, item = _first(value, at, lambda item: not _is_sound(item)) or (at, value)
    if isinstance(item, str):
        return one(pointer, Code.NOT_STORABLE, "the text holds U+0000 or half a surrogate pair")
    return one(pointer, Code.NUMBER_OUT_OF_RANGE, f"{item} is not a number in JSON")


def _first(value: Json, at: str, wanted: Callable[[Json], bool]) -> tuple[str, Json] | None:
    """Pointer and value of some wanted value or name."""
    waiting: list[tuple[Json, str]] = [(value, at)]
    while waiting:
        item, pointer = waiting.pop()
        if wanted(item):
            return pointer, item
        if isinstance(item, dict):
            waiting.extend((child, pointer + step(name)) for name, child in item.items())
            waiting.extend((name, pointer) for name in item)
        elif isinstance(item, list):
            waiting.extend((child, f"{pointer}/{i}") for i, child in enumerate(item))
    return None
