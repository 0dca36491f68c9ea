"""EPC URNs: pure identity, class and identity pattern. Source: EPC Tag Data Standard 2.0 section 6."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from services.crops.domain.epcis.gs1_keys import AI_39, AI_82, DIGITS, check_digit, decoded, urn_encoded
from services.crops.domain.epcis.problems import shown

_URN: Final = re.compile(r"urn:epc:(?P<kind>id|class|idpat):(?P<scheme>[a-z]+):(?P<body>.*)", re.DOTALL)
_COMPONENT: Final = re.compile(r"(?:[!'()*+,\-.0-9:;=A-Z_a-z]|%[0-9A-Fa-f]{2})*")
_PREFIX: Final = range(6, 13)

Elements = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Scheme:
    """How a scheme's URN is built.

    Args:
        ai: the key it stands for.
        total: digits of prefix and reference together; for `free` ones the longest text.
        indicator: whether the reference begins with a digit that the key puts before the prefix.
        before: digits that the key puts before all.
        check: whether the key has a check digit that the URN leaves out.
        free: whether the reference is text and not digits.
        serial: (AI or "" when it is part of the key, longest, characters) of the last component.
        pattern: whether `*` for the serial names a class.
    """

    ai: str
    total: int
    indicator: bool = False
    before: str = ""
    check: bool = True
    free: re.Pattern[str] | None = None
    serial: tuple[str, int, re.Pattern[str]] | None = None
    pattern: bool = False


SCHEMES: Final[Mapping[str, Scheme]] = MappingProxyType(
    {
        "sgtin": Scheme("01", 13, indicator=True, serial=("21", 20, AI_82), pattern=True),
        "lgtin": Scheme("01", 13, indicator=True, serial=("10", 20, AI_82)),
        "upui": Scheme("01", 13, indicator=True, serial=("235", 28, AI_82), pattern=True),
        "itip": Scheme("8006", 13, indicator=True, serial=("21", 20, AI_82), pattern=True),
        "sscc": Scheme("00", 17, indicator=True),
        "sgln": Scheme("414", 12, serial=("254", 20, AI_82)),
        "pgln": Scheme("417", 12),
        "grai": Scheme("8003", 12, before="0", serial=("", 16, AI_82), pattern=True),
        "gdti": Scheme("253", 12, serial=("", 17, AI_82), pattern=True),
        "sgcn": Scheme("255", 12, serial=("", 12, DIGITS), pattern=True),
        "gsrn": Scheme("8018", 17),
        "gsrnp": Scheme("8017", 17),
        "gsin": Scheme("402", 16),
        "giai": Scheme("8004", 30, check=False, free=AI_82),
        "ginc": Scheme("401", 30, check=False, free=AI_82),
        "cpi": Scheme("8010", 30, check=False, free=AI_39, serial=("8011", 12, DIGITS), pattern=True),
    }
)


def parse(text: str) -> tuple[Elements, int] | None:
    """The (AI, value) pairs and the company prefix length; None for EPC schemes without a GS1 key.

    Raises:
        ValueError: a scheme of GS1 whose rules the text breaks.
    """
    found = _URN.fullmatch(text)
    scheme = SCHEMES.get(found["scheme"]) if found else None
    if found is None or scheme is None:
        return None
    name, kind = found["scheme"], found["kind"]
    if (kind == "class") != (name == "lgtin"):
        raise ValueError(f"{name} has no form urn:epc:{kind}:")
    if kind == "idpat" and (not scheme.pattern or found["body"].count("*") != 1):
        return None  # a pattern over more than one class, or over things that have no class
    components = _components(name, scheme, found["body"])
    prefix, reference = components[0], components[1]
    if DIGITS.fullmatch(prefix) is None or len(prefix) not in _PREFIX:
        raise ValueError(f"the company prefix {shown(prefix)} of {name} is not 6 to 12 digits")
    value = scheme.before + _key(name, scheme, prefix, reference)
    if name == "itip":
        if any(re.fullmatch(r"[0-9]{2}", piece) is None for piece in components[2:4]):
            raise ValueError("piece and total of itip are two digits each")
        value += components[2] + components[3]
    elements = _with_serial(name, scheme, value, components[-1], kind)
    return tuple(elements.items()), len(prefix)


def _components(name: str, scheme: Scheme, body: str) -> list[str]:
    count = (5 if name == "itip" else 3) if scheme.serial else 2
    encoded = body.split(".", count - 1)
    if len(encoded) != count:
        raise ValueError(f"{name} has {count} components, not {len(encoded)}")
    values: list[str] = []
    for component in encoded:
        value = decoded(component) if _COMPONENT.fullmatch(component) else None
        if value is None:
            raise ValueError(f"{shown(component)} holds characters that an EPC URN does not allow")
        values.append(value)
    return values


def _key(name: str, scheme: Scheme, prefix: str, reference: str) -> str:
    if scheme.free is not None:
        if not reference or len(prefix) + len(reference) > scheme.total:
            raise ValueError(
                f"{name} has 1 to {scheme.total - len(prefix)} characters behind the company prefix"
            )
        if scheme.free.fullmatch(reference) is None:
            raise ValueError(f"{shown(reference)} holds characters that {name} does not allow")
        return prefix + reference
    wanted = scheme.total - len(prefix)
    if len(reference) != wanted or (reference and DIGITS.fullmatch(reference) is None):
        raise ValueError(f"the reference {shown(reference)} of {name} is not {wanted} digits")
    split = 1 if scheme.indicator else 0
    digits = reference[:split] + prefix + reference[split:]
    return digits + (check_digit(digits) if scheme.check else "")


def _with_serial(name: str, scheme: Scheme, value: str, last: str, kind: str) -> dict[str, str]:
    if scheme.serial is None or (kind == "idpat" and last == "*"):
        return {scheme.ai: value}
    ai, longest, characters = scheme.serial
    if not 1 <= len(last) <= longest or characters.fullmatch(last) is None:
        raise ValueError(
            f"the last component {shown(last)} of {name} is not 1 to {longest} allowed characters"
        )
    if name == "sgln" and last == "0":
        return {scheme.ai: value}
    return {scheme.ai: value, ai: last} if ai else {scheme.ai: value + last}


def render(scheme_name: str, elements: Elements, prefix_length: int) -> str:
    """The URN of a key's elements, given how many digits its company prefix has."""
    by_ai = dict(elements)
    name = "sgtin" if scheme_name == "gtin" else scheme_name
    scheme = SCHEMES[name]
    value = by_ai[scheme.ai].removeprefix(scheme.before)
    parts: list[str]
    if scheme.free is not None:
        parts = [value[:prefix_length], urn_encoded(value[prefix_length:])]
    else:
        split = 1 if scheme.indicator else 0
        digits = value[split : scheme.total]
        parts = [digits[:prefix_length], value[:split] + digits[prefix_length:]]
    if name == "itip":
        parts += [value[14:16], value[16:18]]
    kind = "class" if name == "lgtin" else "id"
    if scheme.serial is not None:
        ai, _, _ = scheme.serial
        serial = by_ai.get(ai) if ai else value[scheme.total + 1 :]
        if not serial and name == "sgln":
            serial = "0"
        elif not serial:
            kind = "idpat"
        parts.append(urn_encoded(serial) if serial else "*")
    return f"urn:epc:{kind}:{name}:{'.'.join(parts)}"
