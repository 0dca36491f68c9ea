"""What partners reported into the database; each row once, in whatever order they arrive."""

from collections.abc import Iterable, Sequence
from typing import Any

from services.trace.adapters.movement_writer import POSITION, Row, Write
from services.trace.domain import reports as r

_MOVED = f"""
INSERT INTO partner_movement (
    lot_id, step, at, event_id, reported_by, from_id, to_id, amount, unit, documents, position
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, {POSITION}) ON CONFLICT DO NOTHING
"""
_MEASURED = """
INSERT INTO partner_measured (lot_id, event_id, reported_by) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING
"""
_READING = """
INSERT INTO partner_reading (event_id, number, start_at, end_at, celsius, device_id)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING
"""
_WITHDRAWN = f"""
INSERT INTO partner_withdrawal (event_id, reported_by, position) VALUES ($1, $2, {POSITION})
ON CONFLICT DO NOTHING
"""


def _moved(fact: r.GoodsMoved) -> Iterable[Row]:
    for good in fact.goods:
        amount, unit = (good.quantity.amount, good.quantity.unit) if good.quantity else (None, None)
        yield (
            good.name,
            fact.step.value,
            fact.at,
            fact.event_id,
            fact.reported_by,
            fact.from_id,
            fact.to_id,
            amount,
            unit,
            list(fact.documents),
        )


def _readings(fact: r.GoodsMeasured) -> Iterable[Row]:
    for each in fact.readings:
        yield (each.event_id, each.number, each.start, each.end, each.celsius, each.device_id)


REPORT_WRITES: dict[type[Any], Sequence[Write]] = {
    r.GoodsMoved: [(_MOVED, _moved)],
    r.GoodsMeasured: [
        (_MEASURED, lambda fact: [(good, fact.event_id, fact.reported_by) for good in fact.goods]),
        (_READING, _readings),
    ],
    r.ReportWithdrawn: [(_WITHDRAWN, lambda fact: [(fact.event_id, fact.reported_by)])],
}
