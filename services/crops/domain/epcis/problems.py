"""What is wrong with an EPCIS document, field by field."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from chassis.errors import InvalidArgument, Violation

MOST_REPORTED: Final = 50
"""Further problems of one document are counted, not listed: a hostile one could have millions."""


class Code(StrEnum):
    """Kinds of problem, stable for programs."""

    NOT_JSON = "NOT_JSON"
    MISSING = "MISSING"
    UNKNOWN_FIELD = "UNKNOWN_FIELD"
    WRONG_TYPE = "WRONG_TYPE"
    WRONG_VALUE = "WRONG_VALUE"
    NOT_A_URI = "NOT_A_URI"
    NOT_A_TIME = "NOT_A_TIME"
    NUMBER_OUT_OF_RANGE = "NUMBER_OUT_OF_RANGE"
    NEGATIVE_QUANTITY = "NEGATIVE_QUANTITY"
    DUPLICATE_ITEM = "DUPLICATE_ITEM"
    EMPTY_LIST = "EMPTY_LIST"
    RULE = "RULE"
    TOO_LARGE = "TOO_LARGE"
    TOO_DEEP = "TOO_DEEP"
    NOT_STORABLE = "NOT_STORABLE"


@dataclass(frozen=True, slots=True)
class Problem:
    """One broken rule.

    Args:
        pointer: JSON pointer (RFC 6901) of the field, "" for the whole.
        code: kind of the problem.
        detail: one English sentence.
    """

    pointer: str
    code: Code
    detail: str


class NotEpcis(InvalidArgument):
    """A document or an event that breaks EPCIS 2.0; reason EPCIS_INVALID, one violation for each problem."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        listed = tuple(problems[:MOST_REPORTED])
        first = listed[0]
        more = f" and {len(problems) - 1} more" if len(problems) > 1 else ""
        super().__init__(
            "EPCIS_INVALID",
            f"{first.pointer or 'the document'}: {first.detail}{more}",
            metadata={"problems": str(len(problems)), "code": first.code.value, "pointer": first.pointer},
            violations=[Violation(p.pointer, f"{p.code.value}: {p.detail}") for p in listed],
        )
        self.problems = listed


def one(pointer: str, code: Code, detail: str) -> NotEpcis:
    """The error of a single problem."""
    return NotEpcis([Problem(pointer, code, detail)])


def step(name: str) -> str:
    """One reference token of a JSON pointer: `/` and the escaped name (RFC 6901 section 3)."""
    return "/" + name.replace("~", "~0").replace("/", "~1")


def shown(value: object) -> str:
    """A value for a message, cut so that a hostile one cannot fill it."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
