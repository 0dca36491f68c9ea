"""The fields of the files that a log hands out, read as strictly as strangers' files deserve.

Each raises DocumentError with the field's name.
"""

import base64
import binascii
import re
from collections.abc import Sequence
from typing import Any

from chassis.merklelog.leaf import load_json

Json = dict[str, Any]
_DIGITS = re.compile(r"[0-9]{1,19}", re.ASCII)


class DocumentError(ValueError):
    """A file that is not what it should be; the message names the field."""


def parse_json(text: str | bytes, what: str) -> Json:
    """A JSON object in which no name occurs twice.

    Raises:
        DocumentError: it is something else.
    """
    try:
        value = load_json(text, object_pairs_hook=_without_repeats)
    except ValueError as error:
        raise DocumentError(f"{what} is not JSON: {error}") from None
    if not isinstance(value, dict):
        raise DocumentError(f"{what} is not a JSON object")
    return value


def _without_repeats(pairs: list[tuple[str, Any]]) -> Json:
    value = dict(pairs)
    if len(value) != len(pairs):
        raise DocumentError("a name occurs twice in one object")
    return value


def origin_of(key: str) -> str:
    """The origin of a key."""
    return key.split("+", 1)[0]


def check_origin(value: Json) -> None:
    """Refuse a document whose origin is not that of its key."""
    if text_of(value, "origin") != origin_of(text_of(value, "key")):
        raise DocumentError("origin is not the name of the key")


def text_of(value: Json, name: str) -> str:
    """A text that is there."""
    found = value.get(name)
    if not isinstance(found, str) or not found:
        raise DocumentError(f"{name} is missing or not text")
    return found


def texts_of(value: Json, name: str) -> tuple[str, ...]:
    """A list of texts; none when it is absent."""
    found = value.get(name, [])
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise DocumentError(f"{name} is not a list of text")
    return tuple(found)


def part_of(value: Json, name: str) -> Json:
    """An object."""
    found = value.get(name)
    if not isinstance(found, dict):
        raise DocumentError(f"{name} is missing or not an object")
    return found


def bytes_of(value: Json, name: str) -> bytes:
    """A text as UTF-8."""
    try:
        return text_of(value, name).encode()
    except UnicodeEncodeError:
        raise DocumentError(f"{name} is not valid text") from None


def number_of(value: Json, name: str) -> int:
    """A whole number, as JSON or as text."""
    found = value.get(name)
    if isinstance(found, str) and _DIGITS.fullmatch(found):
        return int(found)
    if type(found) is int and 0 <= found < 10**19:
        return found
    raise DocumentError(f"{name} is missing or not a whole number")


def in_base64(hashes: Sequence[bytes]) -> list[str]:
    """Hashes as a document has them."""
    return [base64.b64encode(entry).decode() for entry in hashes]


def hashes_of(value: Json, name: str) -> tuple[bytes, ...]:
    """The hashes again."""
    found = value.get(name)
    if not isinstance(found, list) or not all(isinstance(entry, str) for entry in found):
        raise DocumentError(f"{name} is missing or not a list of text")
    try:
        return tuple(base64.b64decode(entry, validate=True) for entry in found)
    except (binascii.Error, ValueError):
        raise DocumentError(f"{name} is not base64") from None
