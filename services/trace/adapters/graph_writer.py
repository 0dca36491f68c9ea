"""Facts into the graph. Every statement gives the same rows whatever was there before it.

That is what makes any order of arrival across topics right: values that only one fact gives are set by
it, values that several give go to the highest number, and flags are only ever raised. Beside what makes
a recall scope stands the position of the batch that first said so.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from chassis.database import Database
from services.trace.adapters.journal_writer import JOURNAL, READING, entry_row, reading_row
from services.trace.adapters.movement_writer import CUSTODIAN, EDGE, MOVEMENT_WRITES, REMAINING, Row, Write
from services.trace.adapters.movement_writer import MENTION_LOT as _MENTION_LOT
from services.trace.adapters.movement_writer import POSITION as _POSITION
from services.trace.adapters.report_writer import REPORT_WRITES
from services.trace.domain import facts as f
from services.trace.domain.journal import Entry, Reading
from services.trace.domain.orders import OrderState

PAST_REVISIONS = 20

_MENTION_ORDER = """
INSERT INTO traced_order (order_id, venue_id) VALUES ($1, $2)
ON CONFLICT (order_id) DO UPDATE SET venue_id = excluded.venue_id
"""
_OWNER = """
    owner_id = CASE WHEN excluded.owner_number > traced_lot.owner_number
                    THEN excluded.owner_id ELSE traced_lot.owner_id END,
    owner_number = greatest(excluded.owner_number, traced_lot.owner_number)
"""
_MINT_LOT = f"""
INSERT INTO traced_lot (
    lot_id, lot_code, product_code, grower_id, owner_id, owner_number, parent_lot_id, minted_amount, unit,
    harvest_time, farm_name, expire_time, product_position
) VALUES ($1, $2, $3, $4, $5, 0, $6, $7, $8, $9, $10, $11, {_POSITION})
ON CONFLICT (lot_id) DO UPDATE SET
    lot_code = excluded.lot_code, product_code = excluded.product_code, grower_id = excluded.grower_id,
    product_position = excluded.product_position, parent_lot_id = excluded.parent_lot_id,
    minted_amount = excluded.minted_amount, unit = excluded.unit,
    harvest_time = excluded.harvest_time, farm_name = excluded.farm_name,
    expire_time = excluded.expire_time, {_OWNER}
"""
_OWN_LOT = f"""
INSERT INTO traced_lot (lot_id, owner_id, owner_number) VALUES ($1, $2, $3)
ON CONFLICT (lot_id) DO UPDATE SET {_OWNER}
"""
_CUSTODY = """
INSERT INTO custody (lot_id, number, owner_id, from_time, reference_document) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT DO NOTHING
"""
# Who mints has the goods, unless it was heard already that someone else has them since.
_FIRST_CUSTODIAN = """
UPDATE traced_lot SET custodian_id = $2 WHERE lot_id = $1 AND custodian_at IS NULL
"""
_RECEIVE = f"""
INSERT INTO stock (stock_item_id, venue_id, lot_id, received_amount, received_unit, position)
VALUES ($1, $2, $3, $4, $5, {_POSITION})
ON CONFLICT (stock_item_id) DO UPDATE
SET received_amount = excluded.received_amount, received_unit = excluded.received_unit
"""
_QUARANTINE = f"""
INSERT INTO stock (stock_item_id, venue_id, lot_id, quarantined, quarantined_at, position)
VALUES ($1, $2, $3, $4, $5, {_POSITION})
ON CONFLICT (stock_item_id) DO UPDATE
SET quarantined = excluded.quarantined, quarantined_at = excluded.quarantined_at
WHERE (coalesce(stock.quarantined_at, '-infinity'), stock.quarantined)
    < (excluded.quarantined_at, excluded.quarantined)
"""
_FLAG_ORDER = """
INSERT INTO traced_order (order_id, venue_id, {flag}, {flag}_position) VALUES ($1, $2, true, {position})
ON CONFLICT (order_id) DO UPDATE SET venue_id = excluded.venue_id, {flag} = true,
    {flag}_position = CASE WHEN traced_order.{flag} THEN traced_order.{flag}_position
                           ELSE excluded.{flag}_position END
"""
_ALLOCATE = """
INSERT INTO allocation (order_id, stock_item_id, menu_item_id, lot_id, {flag}, {flag}_position)
VALUES ($1, $2, $3, $4, true, {position})
ON CONFLICT (order_id, stock_item_id, menu_item_id) DO UPDATE SET {flag} = true,
    {flag}_position = CASE WHEN allocation.{flag} THEN allocation.{flag}_position
                           ELSE excluded.{flag}_position END
"""
_VENUE = """
INSERT INTO venue (venue_id, name, owner_id) VALUES ($1, $2, $3)
ON CONFLICT (venue_id) DO UPDATE SET name = excluded.name, owner_id = excluded.owner_id
"""
# What an item was before is kept for those who page through a scope of then; not for ever, since an item
# may change its price every hour.
_MENU_ITEM = f"""
WITH past AS (
    INSERT INTO menu_item_past (
        menu_item_id, revision, venue_id, name, product_codes, lot_ids, position, until_position
    )
    SELECT menu_item_id, revision, venue_id, name, product_codes, lot_ids, position, {_POSITION}
    FROM menu_item WHERE menu_item_id = $1 AND revision < $6
    ON CONFLICT DO NOTHING
), forgotten AS (
    DELETE FROM menu_item_past WHERE menu_item_id = $1 AND revision < $6 - {PAST_REVISIONS}
)
INSERT INTO menu_item (menu_item_id, venue_id, name, product_codes, lot_ids, revision, position)
VALUES ($1, $2, $3, $4, $5, $6, {_POSITION})
ON CONFLICT (menu_item_id) DO UPDATE
SET venue_id = excluded.venue_id, name = excluded.name, product_codes = excluded.product_codes,
    lot_ids = excluded.lot_ids, revision = excluded.revision, position = excluded.position
WHERE menu_item.revision < excluded.revision
"""
_FAILED = OrderState.FAILED.value
_ORDER = f"""
INSERT INTO traced_order (order_id, venue_id, guest_id, state, placed_at, guest_position, failed_position)
VALUES ($1, $2, $3, $4, $5, {_POSITION}, CASE WHEN $4::smallint = {_FAILED} THEN {_POSITION} END)
ON CONFLICT (order_id) DO UPDATE
SET venue_id = excluded.venue_id, guest_id = excluded.guest_id,
    state = greatest(traced_order.state, excluded.state),
    placed_at = coalesce(traced_order.placed_at, excluded.placed_at),
    guest_position = CASE WHEN traced_order.guest_id = '' THEN excluded.guest_position
                          ELSE traced_order.guest_position END,
    failed_position = CASE WHEN traced_order.state = {_FAILED} THEN traced_order.failed_position
                           ELSE excluded.failed_position END
"""


class PostgresGraphWriter:
    """Implements `GraphWriter`: a few statements for each batch, whose rows travel together."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(
        self, facts: Sequence[f.Fact], entries: Sequence[Entry], readings: Sequence[Reading], newest: datetime
    ) -> None:
        batches = [
            (statement, [row for fact in facts if type(fact) is kind for row in rows_of(fact)])
            for kind in dict.fromkeys(map(type, facts))
            for statement, rows_of in _WRITES[kind]
        ]
        batches.append((JOURNAL, list(map(entry_row, entries))))
        batches.append((READING, list(map(reading_row, readings))))
        async with self._database.transaction() as tx:
            await tx.execute("SELECT learn($1)", newest)
            for statement, rows in batches:
                # In one order, so that batches that meet wait for each other instead of dying of it;
                # the sort keeps the order among facts about the same thing.
                rows.sort(key=_first)
                if rows:
                    await tx.executemany(statement, rows)


def _first(row: Row) -> Any:
    return row[0]


def _minted(fact: f.LotMinted) -> Iterable[Row]:
    yield (
        fact.lot_id,
        fact.lot_code,
        fact.product_code,
        fact.grower_id,
        fact.owner_id,
        fact.parent_lot_id or "",
        fact.quantity.amount,
        fact.quantity.unit,
        fact.harvest_time,
        fact.farm_name,
        fact.expire_time,
    )


def _parents(fact: f.LotMinted) -> Iterable[str]:
    return dict.fromkeys(filter(None, (fact.parent_lot_id, *fact.parent_lot_ids)))


def _quarantined(fact: f.StockQuarantined | f.QuarantineLifted) -> Iterable[Row]:
    blocked = isinstance(fact, f.StockQuarantined)
    return [(fact.stock_item_id, fact.venue_id, fact.lot_id, blocked, fact.recorded)]


_QUARANTINE_WRITES: Sequence[Write] = [
    (_MENTION_LOT, lambda fact: [(fact.lot_id,)]),
    (_QUARANTINE, _quarantined),
]


def _allocations(fact: f.StockReserved | f.StockConsumed) -> Iterable[Row]:
    return [(fact.order_id, a.stock_item_id, a.menu_item_id, a.lot_id) for a in fact.allocations]


def _allocated_lots(fact: f.StockReserved | f.StockConsumed) -> Iterable[Row]:
    return [(allocation.lot_id,) for allocation in fact.allocations]


def _order_and_venue(fact: f.StockReserved | f.StockConsumed | f.ReservationReleased) -> Iterable[Row]:
    return [(fact.order_id, fact.venue_id)]


def _received(fact: f.StockReceived) -> Iterable[Row]:
    quantity = fact.quantity
    return [(fact.stock_item_id, fact.venue_id, fact.lot_id, quantity.amount, quantity.unit)]


def _menu_item(fact: f.MenuItemChanged) -> Iterable[Row]:
    sets = (list(fact.product_codes), list(fact.lot_ids))
    return [(fact.menu_item_id, fact.venue_id, fact.name, *sets, fact.revision)]


_WRITES: dict[type[Any], Sequence[Write]] = {
    **MOVEMENT_WRITES,
    **REPORT_WRITES,
    f.LotMinted: [
        (_MINT_LOT, _minted),
        (_CUSTODY, lambda fact: [(fact.lot_id, 0, fact.owner_id, fact.at, "")]),
        (_MENTION_LOT, lambda fact: [(lot,) for lot in _parents(fact)]),
        (EDGE, lambda fact: [(lot, fact.lot_id, fact.at) for lot in _parents(fact)]),
        (_FIRST_CUSTODIAN, lambda fact: [(fact.lot_id, fact.owner_id)]),
    ],
    f.LotTransferred: [
        (_OWN_LOT, lambda fact: [(fact.lot_id, fact.new_owner_id, fact.number)]),
        (
            _CUSTODY,
            lambda fact: [(fact.lot_id, fact.number, fact.new_owner_id, fact.at, fact.reference_document)],
        ),
        CUSTODIAN,
    ],
    f.LotSplit: [
        (
            REMAINING,
            lambda fact: [(fact.lot_id, fact.remaining.amount, fact.remaining.unit, fact.recorded)],
        ),
        (_MENTION_LOT, lambda fact: [(part,) for part in fact.part_lot_ids]),
        (EDGE, lambda fact: [(fact.lot_id, part, fact.at) for part in fact.part_lot_ids]),
    ],
    f.LotTransformed: [
        (
            REMAINING,
            lambda fact: [(lot, left.amount, left.unit, fact.recorded) for lot, left in fact.remaining],
        ),
        (_MENTION_LOT, lambda fact: [(lot,) for lot in fact.output_lot_ids]),
        (
            EDGE,
            lambda fact: [(lot, made, fact.at) for lot, _ in fact.remaining for made in fact.output_lot_ids],
        ),
    ],
    f.StockReceived: [
        (_MENTION_LOT, lambda fact: [(fact.lot_id,)]),
        (_RECEIVE, _received),
    ],
    f.StockQuarantined: _QUARANTINE_WRITES,
    f.QuarantineLifted: _QUARANTINE_WRITES,
    f.StockReserved: [
        (_MENTION_LOT, _allocated_lots),
        (_MENTION_ORDER, _order_and_venue),
        (_ALLOCATE.format(flag="reserved", position=_POSITION), _allocations),
    ],
    f.ReservationReleased: [(_FLAG_ORDER.format(flag="released", position=_POSITION), _order_and_venue)],
    f.StockConsumed: [
        (_MENTION_LOT, _allocated_lots),
        (_FLAG_ORDER.format(flag="consumed", position=_POSITION), _order_and_venue),
        (_ALLOCATE.format(flag="consumed", position=_POSITION), _allocations),
    ],
    f.VenueCreated: [(_VENUE, lambda fact: [(fact.venue_id, fact.name, fact.owner_id)])],
    f.MenuItemChanged: [(_MENU_ITEM, _menu_item)],
    f.OrderSeen: [
        (
            _ORDER,
            lambda fact: [
                (fact.order_id, fact.venue_id, fact.guest_id, int(fact.state), fact.placed_at),
            ],
        )
    ],
}
