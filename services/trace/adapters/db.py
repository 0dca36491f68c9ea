"""Answers from the graph.

Each answer is a fixed number of statements in one snapshot. The recursion gives ids only and the
other statements look those up by index, so that the cost follows the answer and not the ledger. It
uses UNION: a lot is visited once, so circles end and diamonds do not multiply; a depth limit instead
would cut a recall short without anybody noticing.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from chassis.database import Database, Transaction
from services.trace.adapters.rows import (
    custody_of,
    lot_of,
    menu_item_of,
    order_of,
    stock_of,
    venue_of,
)
from services.trace.domain.answers import LotTrace, OrderTrace, RecallScope, TracedLot, TracedVenue
from services.trace.domain.descent import distances
from services.trace.domain.orders import OrderState

_SNAPSHOT = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
# LATERAL with OFFSET 0 cannot be turned into a join that reads all edges, which the planner would prefer
# because it cannot foresee how little a step of the recursion finds.
_DOWN = """
WITH RECURSIVE reached AS (
    SELECT unnest($1::text[]) AS lot_id
    UNION
    SELECT edge.child_id FROM reached CROSS JOIN LATERAL (
        SELECT child_id FROM lot_edge WHERE parent_id = reached.lot_id OFFSET 0
    ) AS edge
)
SELECT lot_id FROM reached
"""
_UP = """
WITH RECURSIVE reached AS (
    SELECT unnest($1::text[]) AS lot_id
    UNION
    SELECT edge.parent_id FROM reached CROSS JOIN LATERAL (
        SELECT parent_id FROM lot_edge WHERE child_id = reached.lot_id OFFSET 0
    ) AS edge
)
SELECT lot_id FROM reached
"""
_LOTS = "SELECT * FROM traced_lot WHERE lot_id = ANY($1) ORDER BY lot_id"
_PARENTS = "SELECT child_id, parent_id FROM lot_edge WHERE child_id = ANY($1)"
_CUSTODY = "SELECT * FROM custody WHERE lot_id = $1 ORDER BY number"
_STOCK = "SELECT * FROM stock WHERE lot_id = ANY($1) ORDER BY stock_item_id"
_VENUES = "SELECT * FROM venue WHERE venue_id = ANY($1)"
_MENU_ITEMS = """
WITH affected AS (
    SELECT stock.venue_id, array_agg(DISTINCT lot.product_code) AS product_codes,
           array_agg(DISTINCT stock.lot_id) AS lot_ids
    FROM stock JOIN traced_lot lot USING (lot_id)
    WHERE stock.lot_id = ANY($1)
    GROUP BY stock.venue_id
)
SELECT item.menu_item_id, item.venue_id, item.name
FROM affected CROSS JOIN LATERAL (
    SELECT * FROM menu_item WHERE venue_id = affected.venue_id OFFSET 0
) AS item
WHERE item.product_codes && affected.product_codes OR item.lot_ids && affected.lot_ids
ORDER BY item.menu_item_id
"""
# Reserved goods count until they are given back or the order has failed; consumed ones for ever.
_SERVED = f"""
(allocation.consumed OR (allocation.reserved AND NOT traced_order.released AND NOT traced_order.consumed
                         AND traced_order.state <> {OrderState.FAILED.value}))
"""
_ORDER_COLUMNS = """
traced_order.order_id, traced_order.venue_id, traced_order.guest_id, traced_order.state,
traced_order.placed_at, array_agg(DISTINCT allocation.lot_id) AS lot_ids,
array_agg(DISTINCT allocation.menu_item_id) AS menu_item_ids
"""
_ORDERS = f"""
SELECT {_ORDER_COLUMNS}
FROM allocation JOIN traced_order USING (order_id)
WHERE allocation.lot_id = ANY($1) AND {_SERVED}
GROUP BY traced_order.order_id
ORDER BY traced_order.order_id
"""
_ORDER = f"""
SELECT {_ORDER_COLUMNS}
FROM traced_order LEFT JOIN allocation ON allocation.order_id = traced_order.order_id AND {_SERVED}
WHERE traced_order.order_id = $1
GROUP BY traced_order.order_id
"""
_AS_OF = "SELECT max(at) FROM heard"


class PostgresGraphReader:
    """Implements `GraphReader`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def recall_scope(self, lot_id: str) -> RecallScope | None:
        async with self._snapshot() as tx:
            lots = await _lots(tx, _DOWN, [lot_id])
            if not lots:
                return None
            ids = [lot.lot_id for lot in lots]
            stock = tuple(map(stock_of, await tx.fetch(_STOCK, ids)))
            orders = tuple(map(order_of, await tx.fetch(_ORDERS, ids)))
            venues = sorted({item.venue_id for item in stock} | {order.venue_id for order in orders})
            guests = sorted({order.guest_id for order in orders if order.guest_id})
            return RecallScope(
                lot_id=lot_id,
                lots=lots,
                stock=stock,
                venues=await _venues(tx, venues),
                menu_items=tuple(map(menu_item_of, await tx.fetch(_MENU_ITEMS, ids))),
                orders=orders,
                guest_ids=tuple(guests),
                guest_count=len(guests),
                as_of=await tx.fetchval(_AS_OF),
            )

    async def order(self, order_id: str) -> OrderTrace | None:
        async with self._snapshot() as tx:
            row = await tx.fetchrow(_ORDER, order_id)
            if row is None:
                return None
            order = order_of(row)
            return OrderTrace(order, await _lots(tx, _UP, order.lot_ids))

    async def lot(self, lot_id: str) -> LotTrace | None:
        async with self._snapshot() as tx:
            up = await _lots(tx, _UP, [lot_id])
            if not up:
                return None
            parents: dict[str, list[str]] = {}
            for row in await tx.fetch(_PARENTS, [lot.lot_id for lot in up]):
                parents.setdefault(row["child_id"], []).append(row["parent_id"])
            away = distances(lot_id, parents)
            known = {lot.lot_id: lot for lot in up}
            ancestors = sorted((known[lot] for lot in away), key=lambda lot: (-away[lot.lot_id], lot.lot_id))
            down = await _lots(tx, _DOWN, [lot_id])
            return LotTrace(
                lot=known[lot_id],
                ancestors=tuple(ancestors),
                descendants=tuple(lot for lot in down if lot.lot_id != lot_id),
                custody=tuple(map(custody_of, await tx.fetch(_CUSTODY, lot_id))),
                stock=tuple(map(stock_of, await tx.fetch(_STOCK, [lot_id]))),
            )

    @asynccontextmanager
    async def _snapshot(self) -> AsyncIterator[Transaction]:
        async with self._database.transaction() as tx:
            await tx.execute(_SNAPSHOT)
            yield tx


async def _lots(tx: Transaction, direction: str, start: Sequence[str]) -> tuple[TracedLot, ...]:
    reached: list[Any] = await tx.fetch(direction, list(start))
    return tuple(map(lot_of, await tx.fetch(_LOTS, [row["lot_id"] for row in reached])))


async def _venues(tx: Transaction, venue_ids: Sequence[str]) -> tuple[TracedVenue, ...]:
    known = {row["venue_id"]: venue_of(row) for row in await tx.fetch(_VENUES, venue_ids)}
    return tuple(known.get(venue_id) or TracedVenue(venue_id, "", "") for venue_id in venue_ids)
