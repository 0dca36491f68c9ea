"""Points in time by RFC 3339, section 5.6."""

import re
from datetime import UTC, datetime, timedelta, timezone

_DATE_TIME = re.compile(
    r"([0-9]{4})-([0-9]{2})-([0-9]{2})[Tt]([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([0-9]{2}):([0-9]{2}))"
)


def parse_instant(text: str) -> datetime | None:
    """The instant in UTC, without what is finer than a microsecond; None when the text is no date-time."""
    found = _DATE_TIME.fullmatch(text)
    if found is None:
        return None
    year, month, day, hour, minute, second = (int(part) for part in found.groups()[:6])
    fraction, sign, offset_h, offset_m = found.groups()[6:]
    if int(offset_h or 0) > 23 or int(offset_m or 0) > 59 or second > 60:
        return None
    offset = timedelta(hours=int(offset_h or 0), minutes=int(offset_m or 0))
    micros = int((fraction or "")[:6].ljust(6, "0"))
    try:
        # A leap second is counted as the one after it.
        start = datetime(year, month, day, hour, minute, tzinfo=timezone(-offset if sign == "-" else offset))
        return (start + timedelta(seconds=second, microseconds=micros)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def rendered(instant: datetime) -> str:
    """As date-time in UTC, whole seconds."""
    return instant.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
