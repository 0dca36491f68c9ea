"""The progress of a recall costs what the recall reached, not what is stored."""

import pytest

from services.trace.adapters import recall_sql as sql
from tests.integration.trace.conftest import Trace
from tests.integration.trace.test_cost import LATER, LEDGER, LOTS, planned, written

RECALLS = """
INSERT INTO recall (recall_id, root_lot_id, begun_at, position, settled_at)
SELECT 'r' || n, 'lot-' || n, now(), 1, CASE WHEN n % 2 = 0 THEN now() END FROM generate_series(1, 20000) n;
INSERT INTO recall_lot (recall_id, lot_id, owner_id, grower_id)
SELECT 'r' || n, 'lot-' || n, 'o', 'g' FROM generate_series(1, 20000) n;
INSERT INTO recall_stock (recall_id, stock_item_id, venue_id, lot_id)
SELECT 'r' || n, 's' || n, 'v', 'lot-' || n FROM generate_series(1, 20000) n;
INSERT INTO recall_menu_item (recall_id, menu_item_id, venue_id)
SELECT 'r' || n, 'm' || n, 'v' FROM generate_series(1, 20000) n;
INSERT INTO recall_order (recall_id, order_id, venue_id)
SELECT 'r' || n, 'o' || n, 'v' FROM generate_series(1, 20000) n;
INSERT INTO recall_notice (recall_id, user_id, sent)
SELECT 'r' || n, 'u' || n, true FROM generate_series(1, 20000) n;
ANALYZE;
"""
SCOPE = (LOTS, 10**9, "r15000", True)
QUESTIONS: dict[str, tuple[object, ...]] = {
    sql.CALL: ("r15000",),
    sql.CALL_PAGE: ("lot-15000", True, "2030-01-01", "r9", 50),
    sql.HEARD_LOTS: ("r15000",),
    sql.HEARD: ("r15000",),
    sql.TO_LOOK_AT: (100,),
    sql.SETTLE: ("r15000", 0, LATER),
    sql.REFUNDED: ("r15000",),
    sql.COUNTS: SCOPE,
    sql.ENTRY_PAGE: (*SCOPE, [str(kind) for kind in range(1, 9)], True, 0, "", 50),
}


@pytest.mark.parametrize("generic", [False, True])
async def test_no_question_about_a_recall_reads_a_whole_table(trace: Trace, generic: bool) -> None:
    await written(trace.database, LEDGER + RECALLS)
    for question, arguments in QUESTIONS.items():
        plan = await planned(trace.database, question, arguments, generic=generic)
        scans = [line for line in plan.splitlines() if "Seq Scan" in line]
        assert scans == [], f"{question}\n{plan}"
