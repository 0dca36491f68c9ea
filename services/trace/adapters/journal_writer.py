"""Entries of the journal and readings as rows."""

import json
from typing import Any

from services.trace.domain.journal import Entry, Reading

JOURNAL = """
INSERT INTO journal (
    lot_id, event_id, kind, number, at, recorded_at, utc_offset, amount, unit, remaining_amount,
    remaining_unit, party_id, other_id, reference, read_point, biz_location, documents, detail, position
) VALUES (
    $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17::jsonb, $18::jsonb,
    currval('learned_position')
) ON CONFLICT DO NOTHING
"""
READING = """
INSERT INTO reading (lot_id, event_id, number, start_at, end_at, celsius, device_id)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
"""


def entry_row(entry: Entry) -> tuple[Any, ...]:
    """The arguments of JOURNAL."""
    moved, left = entry.quantity, entry.remaining
    return (
        entry.lot_id,
        entry.event_id,
        entry.kind.value,
        entry.number,
        entry.at,
        entry.recorded,
        entry.utc_offset,
        moved.amount if moved else None,
        moved.unit if moved else None,
        left.amount if left else None,
        left.unit if left else None,
        entry.party_id,
        entry.other_id,
        entry.reference,
        entry.read_point,
        entry.biz_location,
        json.dumps(entry.documents),
        json.dumps(dict(entry.detail)),
    )


def reading_row(reading: Reading) -> tuple[Any, ...]:
    """The arguments of READING."""
    return (
        reading.lot_id,
        reading.event_id,
        reading.number,
        reading.start,
        reading.end,
        reading.celsius,
        reading.device_id,
    )
