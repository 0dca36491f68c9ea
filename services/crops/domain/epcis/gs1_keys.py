"""GS1 identification keys: lengths, characters and check digits.

Source: GS1 General Specifications sections 3 and 7.9, EPC Tag Data Standard 2.0 section 6.3,
GS1 Digital Link URI Syntax 1.2 section 4.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote_to_bytes

AI_82: Final = re.compile(r"[!\"%&'()*+,\-./0-9:;<=>?A-Z_a-z]+")
"""Characters of lots, serials and alphanumeric references."""
AI_39: Final = re.compile(r"[#\-/0-9A-Z]+")
"""Characters of a component or part identifier (AI 8010)."""
DIGITS: Final = re.compile(r"[0-9]+")


class Flaw(StrEnum):
    """What can be wrong with an identifier that an event nevertheless carries."""

    MALFORMED = "MALFORMED"
    CHECK_DIGIT = "CHECK_DIGIT"


@dataclass(frozen=True, slots=True)
class Key:
    """How the value of a primary key is built: a fixed run of digits, then perhaps a reference or serial.

    Args:
        ai: GS1 Application Identifier.
        name: what it identifies, the EPC scheme without a serial.
        digits: length of the leading digits, check digit included; 0 for alphanumeric keys.
        tail: longest text after the digits; 0 for none.
        characters: what the tail may hold.
        checked: slice of the digits that ends in the check digit; None when there is none.
        qualifiers: AI -> (longest value, characters), the ones allowed after the key.
        finest: qualifiers that belong to the identity, the finest first.
    """

    ai: str
    name: str
    digits: int
    tail: int = 0
    characters: re.Pattern[str] = AI_82
    checked: slice | None = None
    qualifiers: Mapping[str, tuple[int, re.Pattern[str]]] = field(default_factory=dict)
    finest: tuple[str, ...] = ()


_LOT_SERIAL: Final = {"22": (20, AI_82), "10": (20, AI_82), "21": (20, AI_82)}

KEYS: Final[Mapping[str, Key]] = MappingProxyType(
    {
        key.ai: key
        for key in (
            Key("00", "sscc", 18, checked=slice(0, 18)),
            Key(
                "01",
                "gtin",
                14,
                checked=slice(0, 14),
                qualifiers={**_LOT_SERIAL, "235": (28, AI_82)},
                finest=("21", "235", "10"),
            ),
            Key("253", "gdti", 13, 17, checked=slice(0, 13)),
            Key("255", "sgcn", 13, 12, DIGITS, checked=slice(0, 13)),
            Key("401", "ginc", 0, 30),
            Key("402", "gsin", 17, checked=slice(0, 17)),
            Key("414", "sgln", 13, checked=slice(0, 13), qualifiers={"254": (20, AI_82)}, finest=("254",)),
            Key("417", "pgln", 13, checked=slice(0, 13)),
            Key("8003", "grai", 14, 16, checked=slice(1, 14)),
            Key("8004", "giai", 0, 30),
            Key("8006", "itip", 18, checked=slice(0, 14), qualifiers=_LOT_SERIAL, finest=("21", "10")),
            Key("8010", "cpi", 0, 30, AI_39, qualifiers={"8011": (12, DIGITS)}, finest=("8011",)),
            Key("8017", "gsrnp", 18, checked=slice(0, 18)),
            Key("8018", "gsrn", 18, checked=slice(0, 18)),
        )
    }
)
"""The keys that may identify something in an event (CBV 2.0 section 8.9)."""

ALIASES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "sscc": "00",
        "gtin": "01",
        "gdti": "253",
        "gcn": "255",
        "ginc": "401",
        "gsin": "402",
        "gln": "414",
        "party": "417",
        "grai": "8003",
        "giai": "8004",
        "itip": "8006",
        "cpid": "8010",
        "gsrnp": "8017",
        "gsrn": "8018",
        "cpv": "22",
        "lot": "10",
        "ser": "21",
        "glnx": "254",
        "cpsn": "8011",
    }
)
"""Short names that Digital Link paths had before release 1.2."""


def check_digit(digits: str) -> str:
    """The check digit that belongs behind these digits.

    Source: GS1 General Specifications section 7.9.1 (weights 3, 1, 3, ... from the right).
    """
    total = sum(int(digit) * (3 if place % 2 == 0 else 1) for place, digit in enumerate(reversed(digits)))
    return str(-total % 10)


def has_check_digit(digits: str) -> bool:
    """Whether the last digit is the check digit of the ones before it."""
    return digits[-1:] == check_digit(digits[:-1])


def decoded(text: str) -> str | None:
    """Percent-decoded text; None when it is no ASCII."""
    try:
        return unquote_to_bytes(text).decode("ascii")
    except UnicodeDecodeError:
        return None


def link_encoded(text: str) -> str:
    """A value as a segment of a canonical Digital Link, in the form that CBV 2.0 hashes."""
    return quote(text, safe="';=_-.")


def urn_encoded(text: str) -> str:
    """A value as a component of an EPC URN (Tag Data Standard 2.0 table A-1)."""
    return quote(text, safe="!'()*+,;:=_-.")
