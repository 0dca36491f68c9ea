"""The cost of an answer follows the answer, not what is stored."""

from datetime import UTC, datetime

import pytest

from chassis.database import Database
from services.trace.adapters import db, journal_sql
from services.trace.adapters import scope_sql as sql
from tests.integration.trace.conftest import Trace

LEDGER = """
INSERT INTO traced_lot (lot_id, product_code) SELECT 'lot-' || n, 'p' || n % 100
FROM generate_series(1, 20000) n;
INSERT INTO lot_edge (parent_id, child_id) SELECT 'lot-' || n / 4 + 1, 'lot-' || n + 1
FROM generate_series(1, 20000) n;
INSERT INTO stock (stock_item_id, venue_id, lot_id) SELECT 's' || n, 'v' || n % 1000, 'lot-' || n
FROM generate_series(1, 20000) n;
INSERT INTO menu_item (menu_item_id, venue_id, name, product_codes, lot_ids, revision)
SELECT 'm' || n, 'v' || n % 1000, '', ARRAY['p' || n % 100], '{}', 1 FROM generate_series(1, 10000) n;
INSERT INTO venue (venue_id, name, owner_id) SELECT 'v' || n, '', '' FROM generate_series(0, 999) n;
INSERT INTO traced_order (order_id) SELECT 'o' || n FROM generate_series(1, 20000) n;
INSERT INTO allocation (order_id, stock_item_id, menu_item_id, lot_id, reserved)
SELECT 'o' || n, 's' || n, 'm', 'lot-' || n, true FROM generate_series(1, 20000) n;
INSERT INTO custody (lot_id, number, owner_id, from_time, reference_document)
SELECT 'lot-' || n, 0, '', now(), '' FROM generate_series(1, 20000) n;
INSERT INTO menu_item_past (menu_item_id, revision, venue_id, name, product_codes, lot_ids, until_position)
SELECT menu_item_id, 0, venue_id, name, product_codes, lot_ids, 10 FROM menu_item;
INSERT INTO shipment (shipment_id, lot_id, unit_id, shipped_at)
SELECT 'sh' || n, 'lot-' || n, 'u' || n / 10, now() FROM generate_series(1, 20000) n;
INSERT INTO unit_change (lot_id, unit_id, at, recorded_at, packed)
SELECT 'lot-' || n, 'u' || n / 10, now(), now(), true FROM generate_series(1, 20000) n;
INSERT INTO journal
SELECT 'lot-' || n / 5, 'e' || n, (ARRAY['minted', 'used', 'made', 'shipped', 'consumed'])[1 + n % 5], 0,
       now() - n * interval '1 minute', now(), '', 1, 'KGM', NULL, NULL, 'p' || n % 1000, '', 't' || n / 10,
       '', '', '[]', '{}', 1
FROM generate_series(1, 50000) n;
INSERT INTO reading SELECT 'lot-' || n / 5, 'e' || n, 0, now(), now(), 4, '' FROM generate_series(1, 50000) n;
INSERT INTO partner_movement
SELECT 'lot-' || n / 5, (ARRAY['shipping', 'receiving'])[1 + n % 2], now(), 'e' || n, 'p' || n % 1000, '', '',
       1, 'KGM', '{}', 1
FROM generate_series(1, 50000) n;
INSERT INTO partner_measured
SELECT 'lot-' || n / 5, 'e' || n, 'p' || n % 1000 FROM generate_series(1, 50000) n;
INSERT INTO partner_reading SELECT 'e' || n, 0, now(), now(), 4, '' FROM generate_series(1, 50000) n;
INSERT INTO partner_withdrawal SELECT 'e' || n, 'p' || n % 1000, 1 FROM generate_series(1, 50000) n;
INSERT INTO learned (position, at) SELECT n, now() FROM generate_series(1, 10000) n;
ANALYZE;
"""
LOTS = [f"lot-{n}" for n in range(15000, 15040)]


SCOPE = (LOTS, 10**9)
PAGE = (*SCOPE, "", 50)
SOME = [f"lot-{n}" for n in range(5000, 5040)]
WHEN, LATER = datetime(2020, 1, 1, tzinfo=UTC), datetime(2040, 1, 1, tzinfo=UTC)
RECORDS = (10**9, WHEN, LATER, 50, WHEN, "", "", "", 0)
QUESTIONS: dict[str, tuple[object, ...]] = {
    sql.REACHED: ("lot-15000", 10**9),
    sql.COUNTS: (*SCOPE, 100),
    sql.LOT_COUNTS: (LOTS, 100),
    sql.MOVING_COUNT: SCOPE,
    sql.MOVING_BY_PARTNERS: SCOPE,
    sql.SHIPMENT_PAGE: (*SCOPE, "sh", "lot", 50),
    sql.LOT_PAGE: PAGE,
    sql.STOCK_PAGE: PAGE,
    sql.VENUE_PAGE: PAGE,
    sql.MENU_ITEM_PAGE: PAGE,
    sql.ORDER_PAGE: (*SCOPE, "lot-15003", "o", 50),
    sql.GUEST_PAGE: PAGE,
    sql.VENUES: (["v1", "v2"],),
    sql.AS_OF: (10**9,),
    sql.RECALL_STATE: ("lot-15000",),
    db.UP: (["lot-15000"],),
    journal_sql.KNOWN: ("lot-15000",),
    journal_sql.LOTS_OF: ("p7", "", 50),
    journal_sql.HISTORY: (SOME,),
    journal_sql.TRANSFORMATIONS: (["t7", "t8"],),
    journal_sql.EDGES: (LOTS,),
    journal_sql.MINTED_AT: ("lot-15000",),
    journal_sql.EXPIRES: ("lot-15000",),
    journal_sql.STAYS: (LOTS,),
    journal_sql.BESIDE: (["u7", "u8"], LOTS),
    journal_sql.READINGS: (SOME, [WHEN] * len(SOME), [LATER] * len(SOME), [""] * len(SOME)),
    journal_sql.UNANNOUNCED: ("lot-15000",),
    journal_sql.RECORDS: RECORDS,
    journal_sql.RECORDS_OF_LOTS: (*RECORDS, SOME),
    db._LOTS: (LOTS,),
    db._PARENTS: (LOTS,),
    db._CUSTODY: ("lot-15000",),
    db._STOCK: ("lot-15000",),
    db._ORDER: ("o7",),
}


@pytest.mark.parametrize("generic", [False, True])
async def test_no_question_reads_a_whole_table(trace: Trace, generic: bool) -> None:
    await written(trace.database, LEDGER)
    for question, arguments in QUESTIONS.items():
        plan = await planned(trace.database, question, arguments, generic=generic)
        scans = [line for line in plan.splitlines() if "Seq Scan" in line]
        assert scans == [], f"{question}\n{plan}"


async def written(database: Database, script: str) -> None:
    """Run a script; each of its statements has the time of one."""
    for statement in filter(str.strip, script.split(";")):
        await database.execute(statement)


async def planned(database: Database, statement: str, arguments: tuple[object, ...], *, generic: bool) -> str:
    """The plan that PostgreSQL uses, for these very arguments or for any."""
    kinds = ", ".join(map(kind, arguments))
    mode = "force_generic_plan" if generic else "force_custom_plan"
    async with database.transaction() as tx:
        await tx.execute(f"SET LOCAL plan_cache_mode = {mode}")
        await tx.execute(f"PREPARE question ({kinds}) AS {statement}")
        rows = await tx.fetch(f"EXPLAIN EXECUTE question ({', '.join(map(literal, arguments))})")
        await tx.execute("DEALLOCATE question")
    return "\n".join(row[0] for row in rows)


_KINDS = {str: "text", int: "bigint", bool: "boolean", datetime: "timestamptz"}


def kind(argument: object) -> str:
    return f"{kind(argument[0])}[]" if isinstance(argument, list) else _KINDS[type(argument)]


def literal(argument: object) -> str:
    if isinstance(argument, list):
        return f"ARRAY[{', '.join(map(literal, argument))}]::{kind(argument)}"
    return str(argument) if isinstance(argument, int) else f"'{argument}'"
