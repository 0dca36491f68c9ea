"""Identifiers of goods, places and parties in every form that EPCIS allows.

Either an EPC URN (`urn:epc:id:`, `urn:epc:class:`, `urn:epc:idpat:`) or a GS1 Digital Link on any
domain names the same thing. The one canonical form is the constrained Digital Link at
https://id.gs1.org, since a link does not say how long its company prefix is and so cannot in general be
turned into a URN; the text as given is kept beside it. Source: CBV 2.0 section 8.9.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from typing import Final

from chassis.errors import InvalidArgument
from services.crops.domain.epcis import digital_link, epc_urn
from services.crops.domain.epcis.gs1_keys import KEYS, Flaw, has_check_digit, link_encoded
from services.crops.domain.epcis.problems import shown

CANONICAL_DOMAIN: Final = "https://id.gs1.org"


class Level(StrEnum):
    """What an identifier points at."""

    INSTANCE = "instance"
    CLASS = "class"
    LOCATION = "location"
    PARTY = "party"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class Identifier:
    """One identifier.

    Args:
        original: the text as given.
        canonical: the form to store, index and compare; the original when it is no (sound) GS1 key.
        scheme: gtin, lgtin, sgtin, upui, sscc, sgln, pgln, grai, giai, gdti, sgcn, cpi, gsrn, gsrnp,
            ginc, gsin, itip, or "uri" for everything else.
        level: instance, class, location, party or other.
        elements: (AI, value) pairs, the key first, percent-decoded.
        prefix_length: digits of the GS1 company prefix; None when the text does not tell.
        flaw: what is wrong with it, None when nothing.
        explanation: the flaw in one sentence, "" when there is none.
    """

    original: str
    canonical: str
    scheme: str
    level: Level
    elements: tuple[tuple[str, str], ...] = ()
    prefix_length: int | None = None
    flaw: Flaw | None = None
    explanation: str = ""

    def element(self, ai: str) -> str | None:
        """The value of an Application Identifier, None when the identifier has none."""
        return dict(self.elements).get(ai)

    @property
    def gtin(self) -> str | None:
        """The 14 digits of the GTIN."""
        pieces = self.element("8006")
        return self.element("01") or (pieces[:14] if pieces else None)

    @property
    def lot(self) -> str | None:
        """The lot code, an opaque text."""
        return self.element("10")

    @property
    def class_canonical(self) -> str | None:
        """The product class (GTIN) of a lot or an item, in canonical form."""
        return f"{CANONICAL_DOMAIN}/01/{self.gtin}" if self.gtin else None

    def link(self, domain: str = CANONICAL_DOMAIN) -> str:
        """The Digital Link on a domain, e.g. "https://example.com"; the original when it is no GS1 key."""
        if not self.elements or self.flaw is Flaw.MALFORMED:
            return self.original
        return domain.rstrip("/") + self.canonical.removeprefix(CANONICAL_DOMAIN)

    def urn(self, prefix_length: int | None = None) -> str:
        """The EPC URN.

        Args:
            prefix_length: digits of the company prefix, 6 to 12; default as the original tells.

        Raises:
            InvalidArgument: IDENTIFIER_INVALID when there is no URN or the prefix length is not known.
        """
        length = prefix_length or self.prefix_length
        if not self.elements or self.flaw is Flaw.MALFORMED:
            raise _invalid(self.original, "it is no GS1 key")
        if length is None or not 6 <= length <= 12:
            raise _invalid(self.original, "a URN needs the length of the company prefix, 6 to 12 digits")
        return epc_urn.render(self.scheme, self.elements, length)


def read(text: str) -> Identifier:
    """Read a GS1 identifier strictly, for commands.

    Raises:
        InvalidArgument: IDENTIFIER_INVALID with the reason; a wrong check digit counts too.
    """
    found = recognise(text)
    if found.flaw is not None:
        raise _invalid(text, found.explanation)
    if not found.elements:
        raise _invalid(text, "it is neither an EPC URN nor a GS1 Digital Link")
    return found


def canonical(text: str) -> str:
    """The form to compare by; never refuses."""
    return recognise(text).canonical


@lru_cache(maxsize=16_384)
def recognise(text: str) -> Identifier:
    """Understand an identifier of a captured event; never refuses, a bad one carries its flaw.

    Any URI may identify something in EPCIS, so a text that does not claim to be a GS1 key is kept as it is.
    """
    try:
        found = epc_urn.parse(text) if text.startswith("urn:epc:") else digital_link.parse(text)
    except ValueError as error:
        return Identifier(text, text, "uri", Level.OTHER, flaw=Flaw.MALFORMED, explanation=str(error))
    if found is None:
        return Identifier(text, text, "uri", Level.OTHER)
    elements, prefix_length = found
    return _identifier(text, dict(elements), prefix_length)


def _identifier(text: str, elements: Mapping[str, str], prefix_length: int | None) -> Identifier:
    ai, value = next(iter(elements.items()))
    key = KEYS[ai]
    finest = next((q for q in key.finest if q in elements), None)
    path = f"/{ai}/{link_encoded(value)}"
    if finest is not None:
        path += f"/{finest}/{link_encoded(elements[finest])}"
    scheme = {("01", "21"): "sgtin", ("01", "10"): "lgtin", ("01", "235"): "upui"}.get(
        (ai, finest or ""), key.name
    )
    flaw, explanation = None, ""
    if key.checked is not None and not has_check_digit(value[key.checked]):
        flaw, explanation = Flaw.CHECK_DIGIT, f"the check digit of {value} is wrong"
    level = _level(scheme, value, finest, key.digits)
    ordered = tuple(elements.items())
    return Identifier(text, CANONICAL_DOMAIN + path, scheme, level, ordered, prefix_length, flaw, explanation)


_LEVELS: Final = {
    "gtin": Level.CLASS,
    "lgtin": Level.CLASS,
    "sgln": Level.LOCATION,
    "pgln": Level.PARTY,
}


def _level(scheme: str, value: str, finest: str | None, digits: int) -> Level:
    is_class = {
        "grai": len(value) == digits,
        "gdti": len(value) == digits,
        "sgcn": len(value) == digits,
        "cpi": finest is None,
        "itip": finest != "21",
    }
    return _LEVELS.get(scheme) or (Level.CLASS if is_class.get(scheme) else Level.INSTANCE)


def _invalid(text: str, why: str) -> InvalidArgument:
    return InvalidArgument("IDENTIFIER_INVALID", f"{shown(text)}: {why}", metadata={"identifier": text[:200]})
