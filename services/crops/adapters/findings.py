"""Rows of findings, about partners' events and about own facts."""

from datetime import datetime
from typing import Any, Final

from services.crops.adapters.epcis_schema import key_of
from services.crops.domain.epcis.findings import Finding

FINDING_COLUMNS: Final = (
    "position",
    "code",
    "severity",
    "event_id",
    "event_key",
    "subject",
    "subject_key",
    "explanation",
    "record_time",
)


def finding_row(position: int, found: Finding, now: datetime) -> tuple[Any, ...]:
    """A finding as `FINDING_COLUMNS`.

    Args:
        position: in the event store, of the event that shows it.
    """
    return (
        position,
        found.code.value,
        found.severity.value,
        found.event_id,
        key_of(found.event_id),
        found.subject,
        key_of(found.subject),
        found.explanation,
        now,
    )
