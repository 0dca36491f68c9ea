"""Points in time as EPCIS writes them."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

_RFC3339: Final = re.compile(
    r"\d{4}-(?:0[1-9]|1[0-2])-\d{2}[Tt](?:[01]\d|2[0-3]):[0-5]\d:[0-5]\d(?:\.\d+)?"
    r"(?:[Zz]|[+-](?:[01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_OFFSET: Final = re.compile(r"[+-](?:(?:0\d|1[0-3]):[0-5]\d|14:00)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Timestamp:
    """A point in time and the text it came as, which is given back unchanged.

    Args:
        text: RFC 3339 with a zone, e.g. "2005-04-03T20:33:31.116-06:00".
        instant: the same in UTC, cut to microseconds.
    """

    text: str
    instant: datetime

    @classmethod
    def of(cls, instant: datetime) -> "Timestamp":
        """The timestamp of an aware instant, written in UTC with milliseconds."""
        utc = instant.astimezone(UTC)
        return cls(utc.isoformat(timespec="milliseconds").replace("+00:00", "Z"), utc)

    @property
    def rounded(self) -> str:
        """UTC with exactly three decimals, halves up: how the event hash writes it (CBV 2.0 section 8.9)."""
        micros = self.instant.microsecond
        if micros % 1000 >= 500:
            try:
                up = self.instant + timedelta(microseconds=1000 - micros % 1000)
            except OverflowError:
                up = self.instant
        else:
            up = self.instant
        return up.strftime("%Y").zfill(4) + up.strftime("-%m-%dT%H:%M:%S.") + f"{up.microsecond // 1000:03d}Z"


def parse_time(text: str) -> Timestamp | None:
    """Read RFC 3339 with seconds and a zone; None when it is not.

    Leap seconds and years outside 1 to 9999 in UTC are not accepted. Source: RFC 3339 section 5.6.
    """
    if _RFC3339.fullmatch(text) is None:
        return None
    try:
        return Timestamp(text, datetime.fromisoformat(text.upper()).astimezone(UTC))
    except (ValueError, OverflowError):
        return None


def is_zone_offset(text: str) -> bool:
    """Whether this is an offset as `eventTimeZoneOffset` has it: +hh:mm or -hh:mm, at most 14:00."""
    return _OFFSET.fullmatch(text) is not None
