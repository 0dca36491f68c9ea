"""Journeys of lots and origins of orders, out of the graph.

Each answer is a fixed number of statements in one snapshot. The recursion gives ids only and the
other statements look those up by index, so that the cost follows the answer and not the ledger. It
uses UNION: a lot is visited once, so circles end and diamonds do not multiply; a depth limit instead
would cut a recall short without anybody noticing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from chassis.database import Database, Transaction
from services.trace.adapters import scope_sql
from services.trace.adapters.rows import custody_of, lot_of, order_of, stock_of
from services.trace.adapters.scope import SNAPSHOT
from services.trace.domain.answers import Descent, LotTrace, OrderTrace, TracedLot
from services.trace.domain.descent import distances

FIRST = 1000
# LATERAL with OFFSET 0 cannot be turned into a join that reads all edges, which the planner would prefer
# because it cannot foresee how little a step of the recursion finds.
UP = """
WITH RECURSIVE reached AS (
    SELECT unnest($1::text[]) AS lot_id
    UNION
    SELECT edge.parent_id FROM reached CROSS JOIN LATERAL (
        SELECT parent_id FROM lot_edge WHERE child_id = reached.lot_id OFFSET 0
    ) AS edge
)
SELECT lot_id FROM reached
"""
_LOTS = f"""
SELECT lot.*, {scope_sql.LOT_STATE} FROM traced_lot AS lot WHERE lot_id = ANY($1) ORDER BY lot_id
"""
_PARENTS = """
SELECT child_id, parent_id, at FROM lot_edge WHERE child_id = ANY($1) ORDER BY at, parent_id, child_id
"""
_CUSTODY = "SELECT * FROM custody WHERE lot_id = $1 ORDER BY number"
_STOCK = f"""
SELECT stock.*, count(*) OVER () AS total FROM stock WHERE lot_id = $1 ORDER BY stock_item_id LIMIT {FIRST}
"""
_ORDER = f"""
SELECT {scope_sql.ORDER_COLUMNS}
FROM traced_order LEFT JOIN allocation
     ON allocation.order_id = traced_order.order_id AND {scope_sql.served(scope_sql.NOW)}
WHERE traced_order.order_id = $1
GROUP BY traced_order.order_id
"""


class PostgresGraphReader:
    """Implements `GraphReader`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def order(self, order_id: str) -> OrderTrace | None:
        async with self._snapshot() as tx:
            row = await tx.fetchrow(_ORDER, order_id)
            if row is None:
                return None
            order = order_of(row)
            return OrderTrace(order, await _lots(tx, await _above(tx, order.lot_ids)))

    async def lot(self, lot_id: str) -> LotTrace | None:
        async with self._snapshot() as tx:
            above = await _above(tx, [lot_id])
            known = {lot.lot_id: lot for lot in await _lots(tx, above)}
            if lot_id not in known:
                return None
            parents: dict[str, list[str]] = {}
            edges = await tx.fetch(_PARENTS, above)
            for row in edges:
                parents.setdefault(row["child_id"], []).append(row["parent_id"])
            away = distances(lot_id, parents)
            ancestors = sorted(
                (known[lot] for lot in away if lot in known), key=lambda lot: (-away[lot.lot_id], lot.lot_id)
            )
            below = sorted(await tx.fetchval(scope_sql.REACHED, lot_id, int(scope_sql.NOW)))
            below.remove(lot_id)
            stock = await tx.fetch(_STOCK, lot_id)
            return LotTrace(
                lot=known[lot_id],
                ancestors=tuple(ancestors),
                descendants=await _lots(tx, below[:FIRST]),
                custody=tuple(map(custody_of, await tx.fetch(_CUSTODY, lot_id))),
                stock=tuple(map(stock_of, stock)),
                descendant_count=len(below),
                stock_count=stock[0]["total"] if stock else 0,
                descent=tuple(Descent(row["parent_id"], row["child_id"], row["at"]) for row in edges),
            )

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Transaction]:
        async with self._database.transaction() as tx:
            await tx.execute(SNAPSHOT)
            yield tx


async def _above(tx: Transaction, lot_ids: Sequence[str]) -> list[str]:
    reached: list[Any] = await tx.fetch(UP, list(lot_ids))
    return [row["lot_id"] for row in reached]


async def _lots(tx: Transaction, lot_ids: Sequence[str]) -> tuple[TracedLot, ...]:
    return tuple(map(lot_of, await tx.fetch(_LOTS, lot_ids)))
