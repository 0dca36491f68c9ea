"""GS1 Digital Link URIs on any domain, not compressed. Source: GS1 Digital Link URI Syntax 1.2."""

import re
from typing import Final

from services.crops.domain.epcis.gs1_keys import ALIASES, DIGITS, KEYS, Key, decoded
from services.crops.domain.epcis.problems import shown

_LINK: Final = re.compile(r"[Hh][Tt][Tt][Pp][Ss]?://[^/?#]+(?P<path>/[^?#]*)")
_LOOKS_LIKE_A_KEY: Final = re.compile(r"[0-9]{4}")
_GTIN_LENGTHS: Final = (8, 12, 13, 14)

Found = tuple[tuple[tuple[str, str], ...], int | None]


def parse(text: str) -> Found | None:
    """The (AI, value) pairs of a Digital Link; None for a text that does not look like one.

    A query, a fragment and the path before the key do not belong to the identity.

    Raises:
        ValueError: it looks like one and breaks the rules of its key.
    """
    link = _LINK.match(text)
    if link is None:
        return None
    segments = link["path"].removeprefix("/").removesuffix("/").split("/")
    names = [ALIASES.get(segment, segment) for segment in segments]
    refusal: ValueError | None = None
    for start in range(len(segments) - 1):
        key = KEYS.get(names[start])
        if key is None or not _LOOKS_LIKE_A_KEY.match(segments[start + 1]):
            continue
        rest = list(zip(names[start + 2 :: 2], segments[start + 3 :: 2], strict=False))
        complete = (len(segments) - start) % 2 == 0
        if not complete or any(name not in key.qualifiers for name, _ in rest):
            continue
        try:
            return _elements(key, segments[start + 1], rest), None
        except ValueError as error:
            refusal = refusal or error
    if refusal is not None:
        raise refusal
    return None


def _elements(key: Key, value: str, rest: list[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    elements = {key.ai: _key_value(key, _decode(value, key.ai))}
    for ai, encoded in rest:
        longest, characters = key.qualifiers[ai]
        qualifier = _decode(encoded, ai)
        if ai in elements:
            raise ValueError(f"AI {ai} occurs twice")
        if not 1 <= len(qualifier) <= longest or characters.fullmatch(qualifier) is None:
            raise ValueError(f"{shown(qualifier)} is not a value of AI {ai} (1 to {longest} characters)")
        elements[ai] = qualifier
    return tuple(elements.items())


def _key_value(key: Key, value: str) -> str:
    if key.ai == "01":
        if DIGITS.fullmatch(value) is None or len(value) not in _GTIN_LENGTHS:
            raise ValueError(f"{shown(value)} is not a GTIN of 8, 12, 13 or 14 digits")
        return value.zfill(14)
    digits, tail = value[: key.digits], value[key.digits :]
    if len(digits) < key.digits or (digits and DIGITS.fullmatch(digits) is None):
        raise ValueError(f"{shown(value)} is not a value of AI {key.ai}: {key.digits} digits expected")
    if len(tail) > key.tail or (tail and key.characters.fullmatch(tail) is None):
        limit = f"at most {key.tail} allowed characters after its digits" if key.tail else "nothing else"
        raise ValueError(f"{shown(value)} is not a value of AI {key.ai}: {limit}")
    if key.ai == "8003" and digits[0] != "0":
        raise ValueError(f"{shown(value)} is not a GRAI: AI 8003 begins with 0")
    return value


def _decode(encoded: str, ai: str) -> str:
    text = decoded(encoded)
    if text is None:
        raise ValueError(f"the value of AI {ai} is not ASCII")
    return text
