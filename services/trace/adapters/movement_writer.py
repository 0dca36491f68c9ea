"""Movements into the graph: of two facts about one thing the one recorded last holds, however they arrive."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from services.trace.adapters.scope_sql import TRANSFORMATION
from services.trace.domain import facts as f
from services.trace.domain import movements as m

Row = tuple[Any, ...]
Write = tuple[str, Callable[[Any], Iterable[Row]]]

# That of the running batch, which `learn` has taken.
POSITION = "currval('learned_position')"
MENTION_LOT = "INSERT INTO traced_lot (lot_id) VALUES ($1) ON CONFLICT DO NOTHING"

# Told by the minting and by what it was made with; a time is added to an edge of before there were any.
EDGE = f"""
INSERT INTO lot_edge (parent_id, child_id, at, position) VALUES ($1, $2, $3, {POSITION})
ON CONFLICT (parent_id, child_id) DO UPDATE SET at = least(lot_edge.at, excluded.at)
WHERE coalesce(lot_edge.at, 'infinity') > excluded.at
"""
_CUSTODIAN = """
INSERT INTO traced_lot (lot_id, custodian_id, custodian_at) VALUES ($1, $2, $3)
ON CONFLICT (lot_id) DO UPDATE SET custodian_id = excluded.custodian_id, custodian_at = excluded.custodian_at
WHERE coalesce(traced_lot.custodian_at, '-infinity') < excluded.custodian_at
"""
# Corrections may raise it. At one instant the least, as goods are only taken out.
REMAINING = """
INSERT INTO traced_lot (lot_id, remaining_amount, unit, remaining_at) VALUES ($1, $2, $3, $4)
ON CONFLICT (lot_id) DO UPDATE SET
    remaining_amount = excluded.remaining_amount, unit = excluded.unit, remaining_at = excluded.remaining_at
WHERE (coalesce(traced_lot.remaining_at, '-infinity'), -coalesce(traced_lot.remaining_amount, 'Infinity'))
    < (excluded.remaining_at, -excluded.remaining_amount)
"""
_HOLD = """
INSERT INTO traced_lot (lot_id, held, held_at) VALUES ($1, $2, $3)
ON CONFLICT (lot_id) DO UPDATE SET held = excluded.held, held_at = excluded.held_at
WHERE (coalesce(traced_lot.held_at, '-infinity'), NOT traced_lot.held) < (excluded.held_at, NOT excluded.held)
"""
_DESTROYED = """
INSERT INTO traced_lot (lot_id, destroyed_at) VALUES ($1, $2)
ON CONFLICT (lot_id) DO UPDATE SET destroyed_at = greatest(traced_lot.destroyed_at, excluded.destroyed_at)
"""
# Locks the lot's row, so that the statements behind it see what batches before them have written.
_LOCK_LOT = """
INSERT INTO traced_lot (lot_id) VALUES ($1) ON CONFLICT (lot_id) DO UPDATE SET lot_id = excluded.lot_id
"""
_RECALLED_AT = """
INSERT INTO lot_recall (lot_id, recall_id, recalled_at) VALUES ($1, $2, $3)
ON CONFLICT (lot_id, recall_id) DO UPDATE
SET recalled_at = greatest(lot_recall.recalled_at, excluded.recalled_at)
"""
_RELEASED_AT = """
INSERT INTO lot_recall (lot_id, recall_id, released_at) VALUES ($1, $2, $3)
ON CONFLICT (lot_id, recall_id) DO UPDATE
SET released_at = greatest(lot_recall.released_at, excluded.released_at)
"""
_IS_RECALLED = """
UPDATE traced_lot SET recalled = EXISTS (
    SELECT FROM lot_recall
    WHERE lot_id = $1 AND recalled_at IS NOT NULL AND (released_at IS NULL OR released_at < recalled_at)
) WHERE lot_id = $1
"""
_SHIP = f"""
INSERT INTO shipment (
    shipment_id, lot_id, from_id, to_id, amount, unit, unit_id, shipped_at, shipped_position
) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, {POSITION})
ON CONFLICT (shipment_id, lot_id) DO UPDATE SET
    from_id = excluded.from_id, to_id = excluded.to_id, amount = excluded.amount, unit = excluded.unit,
    unit_id = excluded.unit_id, shipped_at = excluded.shipped_at,
    shipped_position = coalesce(shipment.shipped_position, excluded.shipped_position)
"""
_END_SHIPMENT = f"""
INSERT INTO shipment (shipment_id, lot_id, ended_at, ended_position) VALUES ($1, $2, $3, {POSITION})
ON CONFLICT (shipment_id, lot_id) DO UPDATE SET
    ended_at = least(shipment.ended_at, excluded.ended_at),
    ended_position = coalesce(shipment.ended_position, excluded.ended_position)
"""
_UNIT = f"""
INSERT INTO unit_change (lot_id, unit_id, at, recorded_at, packed, reported_by, position)
VALUES ($1, $2, $3, $4, $5, $6, {POSITION}) ON CONFLICT DO NOTHING
"""


def custodian(lot_id: str, custodian_id: str, recorded: object) -> list[Row]:
    """The row that says who has the goods; none when the fact does not say."""
    return [(lot_id, custodian_id, recorded)] if custodian_id else []


def _shipped(fact: m.LotShipped) -> Iterable[Row]:
    amount, unit = (fact.quantity.amount, fact.quantity.unit) if fact.quantity else (None, None)
    return [(fact.shipment_id, fact.lot_id, fact.from_id, fact.to_id, amount, unit, fact.unit_id, fact.at)]


def _ended(fact: m.LotArrived | m.ShipmentVoided) -> Iterable[Row]:
    return [(fact.shipment_id, fact.lot_id, fact.at)] if fact.shipment_id else []


def _lot(fact: Any) -> Iterable[Row]:
    return [(fact.lot_id,)]


def _units(fact: m.UnitChanged) -> Iterable[Row]:
    return [
        (lot, fact.unit_id, fact.at, fact.recorded, fact.packed, fact.reported_by) for lot in fact.lot_ids
    ]


def _steps(fact: m.GoodsTransformed) -> Iterable[Row]:
    # By a node of its own: a thousand inputs and a thousand outputs are two thousand edges and not a million,
    # and parts that are told in several events meet there.
    middle = f"{TRANSFORMATION}{fact.transformation_id}"
    yield from ((good, middle, fact.at) for good in fact.inputs)
    yield from ((middle, good, fact.at) for good in fact.outputs)


def _remaining(fact: m.LotDestroyed | m.LotSold | m.LotCorrected) -> Iterable[Row]:
    left = fact.quantity if isinstance(fact, m.LotCorrected) else fact.remaining
    return [(fact.lot_id, left.amount, left.unit, fact.recorded)] if left else []


CUSTODIAN: Write = (_CUSTODIAN, lambda fact: custodian(fact.lot_id, fact.custodian_id, fact.recorded))

MOVEMENT_WRITES: dict[type[Any], Sequence[Write]] = {
    f.LotRecalled: [
        (_LOCK_LOT, _lot),
        (_RECALLED_AT, lambda fact: [(fact.lot_id, fact.recall_id, fact.recorded)]),
        (_IS_RECALLED, _lot),
    ],
    m.LotRecallReleased: [
        (_LOCK_LOT, _lot),
        (_RELEASED_AT, lambda fact: [(fact.lot_id, recall, fact.recorded) for recall in fact.recall_ids]),
        (_IS_RECALLED, _lot),
    ],
    m.CustodyChanged: [CUSTODIAN],
    m.GoodsTransformed: [
        (MENTION_LOT, lambda fact: [(good,) for good in (*fact.inputs, *fact.outputs)]),
        (EDGE, _steps),
    ],
    m.LotShipped: [(MENTION_LOT, _lot), (_SHIP, _shipped)],
    m.ShipmentVoided: [(MENTION_LOT, _lot), (_END_SHIPMENT, _ended)],
    m.LotArrived: [
        (_CUSTODIAN, lambda fact: custodian(fact.lot_id, fact.receiver_id, fact.recorded)),
        (_END_SHIPMENT, _ended),
    ],
    m.UnitChanged: [(MENTION_LOT, lambda fact: [(lot,) for lot in fact.lot_ids]), (_UNIT, _units)],
    m.HoldChanged: [(_HOLD, lambda fact: [(fact.lot_id, fact.held, fact.recorded)])],
    m.LotDestroyed: [
        (REMAINING, _remaining),
        (_DESTROYED, lambda fact: [(fact.lot_id, fact.recorded)] if fact.remaining.is_zero else []),
    ],
    m.LotSold: [(REMAINING, _remaining)],
    m.LotCorrected: [(MENTION_LOT, _lot), (REMAINING, _remaining)],
}
