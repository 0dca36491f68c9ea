"""Which settings may change while services run: their kinds, bounds and defaults, as data."""

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from chassis.errors import InvalidArgument, NotFound, Violation

OVERRIDE = "~"
"""Between a service and an entry: `orders~log.level` holds for orders alone."""

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
_WORDS = {"true": 1.0, "false": 0.0}


class Kind(StrEnum):
    """What a value is."""

    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DURATION = "duration"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True)
class Entry:
    """One setting.

    Args:
        name: without a service.
        kind: of its values.
        default: what holds as long as nobody has changed it.
        description: what it does and in what bounds.
        least, most: bounds of numbers, and of durations in seconds.
        choices: of CHOICE.
    """

    name: str
    kind: Kind
    default: str
    description: str
    least: float = -math.inf
    most: float = math.inf
    choices: tuple[str, ...] = ()

    def require(self, value: str) -> None:
        """Refuse a value that is not of the kind or out of bounds.

        Raises:
            InvalidArgument: CONFIG_INVALID.
        """
        if problem := self._problem(value):
            raise InvalidArgument(
                "CONFIG_INVALID",
                f"{self.name} cannot have this value",
                violations=(Violation("value", problem),),
                metadata={"name": self.name},
            )

    def _problem(self, value: str) -> str:
        if self.kind is Kind.CHOICE:
            return "" if value in self.choices else f"must be one of {', '.join(self.choices)}"
        number = _READ[self.kind](value)
        if number is None:
            return f"must be {_EXPECTED[self.kind]}"
        return "" if self.least <= number <= self.most else f"must be from {self.least:g} to {self.most:g}"


def _integer(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,15}", text, re.ASCII) else None


def _number(text: str) -> float | None:
    return float(text) if re.fullmatch(r"-?\d{1,15}(\.\d{1,15})?", text, re.ASCII) else None


def _duration(text: str) -> float | None:
    found = _DURATION.fullmatch(text) if text.isascii() else None
    return float(found[1]) * _SECONDS[found[2]] if found else None


_READ: Mapping[Kind, Callable[[str], float | None]] = {
    Kind.INTEGER: _integer,
    Kind.NUMBER: _number,
    Kind.BOOLEAN: _WORDS.get,
    Kind.DURATION: _duration,
}
_EXPECTED = {
    Kind.INTEGER: "a whole number",
    Kind.NUMBER: "a number, such as 0.25",
    Kind.BOOLEAN: "true or false",
    Kind.DURATION: "a number with ms, s, m or h, such as 250ms",
}

CATALOGUE: Mapping[str, Entry] = {
    entry.name: entry
    for entry in (
        Entry(
            "log.level",
            Kind.CHOICE,
            "INFO",
            "What is written to the log: DEBUG, INFO, WARNING or ERROR, and all that is worse.",
            choices=("DEBUG", "INFO", "WARNING", "ERROR"),
        ),
        Entry(
            "principal-limit.burst",
            Kind.NUMBER,
            "2000",
            "Calls that one person may make of one process at once after a pause, 1 to 1,000,000.",
            least=1,
            most=1_000_000,
        ),
        Entry(
            "principal-limit.rate",
            Kind.NUMBER,
            "1000",
            "Calls a second that one person may make of one process in the long run, 0 to 1,000,000; "
            "0 is no limit.",
            least=0,
            most=1_000_000,
        ),
        Entry(
            "trace.sampling",
            Kind.NUMBER,
            "0.01",
            "Share of the requests without a trace of their own whose spans are recorded, 0 to 1.",
            least=0,
            most=1,
        ),
    )
}
"""Every entry, by name in ascending order."""


def entry_of(name: str) -> Entry:
    """The entry that a name means, with or without a service.

    Raises:
        NotFound: CONFIG_NOT_FOUND.
    """
    entry = CATALOGUE.get(name.rpartition(OVERRIDE)[2])
    if entry is None:
        raise NotFound("CONFIG_NOT_FOUND", "there is no such entry", resource=("config", name))
    return entry


def service_of(name: str) -> str:
    """The service that a name is for; empty when it is for all."""
    return name.rpartition(OVERRIDE)[0]
