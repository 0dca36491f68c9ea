"""How single values of EPCIS JSON are read, checked and written."""

import re
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from services.crops.domain.epcis.jsontext import EXACT, Json, dumps
from services.crops.domain.epcis.problems import Code, Problem, shown, step
from services.crops.domain.epcis.times import Timestamp, is_zone_offset, parse_time
from services.crops.domain.epcis.uri import is_uri
from services.crops.domain.epcis.vocabulary import Vocabulary

Problems = list[Problem]
Reader = Callable[[Json, str, Problems], Any]


def _same(value: Any) -> Json:
    return value


@dataclass(frozen=True, slots=True)
class Codec:
    """Reads one JSON value into the model and writes it back.

    Args:
        read: (value, JSON pointer, problems) -> model value; adds to the problems instead of raising.
        write: model value -> JSON value.
    """

    read: Reader
    write: Callable[[Any], Json] = _same


def wrong_type(value: Json, expected: str, at: str, problems: Problems) -> None:
    """Note that a value is of another JSON type."""
    problems.append(Problem(at, Code.WRONG_TYPE, f"{expected} expected, not {shown(value)}"))


def read_text(value: Json, at: str, problems: Problems) -> Any:
    """Any string."""
    if isinstance(value, str):
        return value
    return wrong_type(value, "a string", at, problems)


def _read_uri(value: Json, at: str, problems: Problems) -> Any:
    if not isinstance(value, str):
        return wrong_type(value, "a URI", at, problems)
    if not is_uri(value):
        problems.append(Problem(at, Code.NOT_A_URI, f"{shown(value)} is not a URI"))
    return value


def _read_time(value: Json, at: str, problems: Problems) -> Any:
    if not isinstance(value, str):
        return wrong_type(value, "a time", at, problems)
    time = parse_time(value)
    if time is None:
        detail = f"{shown(value)} is not a date and time with a zone (RFC 3339)"
        problems.append(Problem(at, Code.NOT_A_TIME, detail))
    return time


def _write_time(value: Timestamp) -> Json:
    return value.text


def _read_boolean(value: Json, at: str, problems: Problems) -> Any:
    if isinstance(value, bool):
        return value
    return wrong_type(value, "true or false", at, problems)


def _read_number(value: Json, at: str, problems: Problems) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return wrong_type(value, "a number", at, problems)
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or abs(number) > EXACT:
        detail = f"{shown(str(value))} is not a number from -2^53 to 2^53"
        problems.append(Problem(at, Code.NUMBER_OUT_OF_RANGE, detail))
    return number


def _read_quantity(value: Json, at: str, problems: Problems) -> Any:
    number = _read_number(value, at, problems)
    if isinstance(number, Decimal) and number.is_finite() and number < 0:
        problems.append(Problem(at, Code.NEGATIVE_QUANTITY, f"the quantity {shown(str(value))} is negative"))
    return number


def _write_number(value: Decimal) -> Json:
    return int(value) if value.as_tuple().exponent == 0 else value


TEXT: Final = Codec(read_text)
URI: Final = Codec(_read_uri)
TIME: Final = Codec(_read_time, _write_time)
BOOLEAN: Final = Codec(_read_boolean)
NUMBER: Final = Codec(_read_number, _write_number)
QUANTITY: Final = Codec(_read_quantity, _write_number)


def matching(pattern: str, expected: str) -> Codec:
    """A string of a certain form, e.g. "1.2" for a version."""
    compiled = re.compile(pattern, re.ASCII)

    def read(value: Json, at: str, problems: Problems) -> Any:
        if not isinstance(value, str):
            return wrong_type(value, expected, at, problems)
        if compiled.fullmatch(value) is None:
            problems.append(Problem(at, Code.WRONG_VALUE, f"{shown(value)} is not {expected}"))
        return value

    return Codec(read)


def one_of(*allowed: str) -> Codec:
    """One of a few strings."""
    return matching("|".join(allowed), " or ".join(allowed))


def term(vocabulary: Vocabulary) -> Codec:
    """A term of a vocabulary: a standard one by its bare name, a private one by URI or CURIE."""

    def read(value: Json, at: str, problems: Problems) -> Any:
        if not isinstance(value, str):
            return wrong_type(value, f"a {vocabulary.name}", at, problems)
        if not vocabulary.accepts(value):
            detail = f"{shown(value)} is no standard {vocabulary.name} and no URI of a private one"
            problems.append(Problem(at, Code.WRONG_VALUE, detail))
        return value

    return Codec(read)


def list_of(item: Codec, *, unique: bool = False, least: int = 0) -> Codec:
    """An array of at least so many items, each once when `unique`."""

    def read(value: Json, at: str, problems: Problems) -> Any:
        if not isinstance(value, list):
            return wrong_type(value, "an array", at, problems)
        if len(value) < least:
            problems.append(Problem(at, Code.EMPTY_LIST, f"at least {least} item expected"))
        if unique:
            _check_unique(value, at, problems)
        return tuple([item.read(entry, f"{at}/{i}", problems) for i, entry in enumerate(value)])

    def write(value: tuple[Any, ...]) -> Json:
        return [item.write(entry) for entry in value]

    return Codec(read, write)


def one_or_list(item: Codec) -> Codec:
    """A value alone or an array of them; a single one is written alone, which means the same in JSON-LD."""
    many = list_of(item)

    def read(value: Json, at: str, problems: Problems) -> Any:
        if isinstance(value, list):
            return many.read(value, at, problems)
        return (item.read(value, at, problems),)

    def write(value: tuple[Any, ...]) -> Json:
        return item.write(value[0]) if len(value) == 1 else many.write(value)

    return Codec(read, write)


def _read_zone_offset(value: Json, at: str, problems: Problems) -> Any:
    if not isinstance(value, str):
        return wrong_type(value, "a zone offset", at, problems)
    if not is_zone_offset(value):
        detail = f"{shown(value)} is not a zone offset from -14:00 to +14:00"
        problems.append(Problem(at, Code.WRONG_VALUE, detail))
    return value


ZONE_OFFSET: Final = Codec(_read_zone_offset)


MOST_CONTEXT_CHARACTERS: Final = 16_384
"""Longest `@context` as JSON: it is kept with each event."""
MOST_PREFIX_CHARACTERS: Final = 256
"""Longest URI of a prefix: each use of it is written out, and prefixes may use one another."""


def _read_context(value: Json, at: str, problems: Problems) -> Any:
    if len(dumps(value)) > MOST_CONTEXT_CHARACTERS:
        detail = f"a context has at most {MOST_CONTEXT_CHARACTERS} characters"
        problems.append(Problem(at, Code.TOO_LARGE, detail))
        return value
    if isinstance(value, list):
        _check_unique(value, at, problems)
    for place, item in (
        [(f"{at}/{i}", v) for i, v in enumerate(value)] if isinstance(value, list) else [(at, value)]
    ):
        if isinstance(item, str):
            _read_uri(item, place, problems)
        elif not isinstance(item, dict):
            wrong_type(item, "the URI of a context or an object", place, problems)
        else:
            _check_prefixes(item, place, problems)
    return value


def _check_prefixes(item: dict[str, Json], at: str, problems: Problems) -> None:
    for name, value in item.items():
        uri = value.get("@id") if isinstance(value, dict) else value
        if isinstance(uri, str) and len(uri) > MOST_PREFIX_CHARACTERS:
            detail = f"a prefix has at most {MOST_PREFIX_CHARACTERS} characters"
            problems.append(Problem(at + step(name), Code.TOO_LARGE, detail))


CONTEXT: Final = Codec(_read_context)


def _check_unique(items: list[Json], at: str, problems: Problems) -> None:
    seen: set[Hashable] = set()
    for place, item in enumerate(items):
        form = _comparable(item)
        if form in seen:
            problems.append(Problem(f"{at}/{place}", Code.DUPLICATE_ITEM, f"{shown(item)} occurs twice"))
        seen.add(form)


def _comparable(value: Json) -> Hashable:
    if isinstance(value, list):
        return ("list", *[_comparable(item) for item in value])
    if isinstance(value, dict):
        return ("object", frozenset((name, _comparable(item)) for name, item in value.items()))
    return (isinstance(value, bool), value)
