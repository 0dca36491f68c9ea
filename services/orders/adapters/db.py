"""Orders and carts in PostgreSQL."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import asyncpg

from chassis.database import Database
from chassis.money import Money
from chassis.wakeup import Watchers
from services.orders.domain.cart import Cart
from services.orders.domain.order import Line, Order, State


class PostgresOrders:
    """Implements `Orders`."""

    def __init__(self, database: Database, changes: Watchers) -> None:
        self._database = database
        self._changes = changes

    async def add(self, order: Order) -> bool:
        added = await self._database.fetchval(
            """
            WITH added AS (
                INSERT INTO customer_order (order_id, guest_id, venue_id, lines, total_minor, currency, state,
                                            revision, failure_reason, request_id, request_hash,
                                            created_at, updated_at)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
                ON CONFLICT (guest_id, request_id) DO NOTHING
                RETURNING order_id, revision, state, failure_reason, updated_at
            )
            INSERT INTO order_change (order_id, revision, state, failure_reason, changed_at)
            SELECT order_id, revision, state, failure_reason, updated_at FROM added RETURNING true
            """,
            order.order_id,
            order.guest_id,
            order.venue_id,
            _lines_to_json(order.lines),
            order.total.minor,
            order.total.currency,
            order.state.value,
            order.revision,
            order.failure_reason,
            order.request_id,
            order.request_hash,
            order.created_at,
            order.updated_at,
        )
        return bool(added)

    async def get(self, order_id: str, *, lock: bool = False) -> Order | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(
            f"SELECT * FROM customer_order WHERE order_id = $1{suffix}", order_id
        )
        return _order(row) if row else None

    async def of_request(self, guest_id: str, request_id: str) -> Order | None:
        row = await self._database.fetchrow(
            "SELECT * FROM customer_order WHERE guest_id = $1 AND request_id = $2", guest_id, request_id
        )
        return _order(row) if row else None

    async def save(self, order: Order) -> None:
        await self._database.execute(
            """
            WITH changed AS (
                UPDATE customer_order SET state = $2, revision = $3, failure_reason = $4, updated_at = $5
                WHERE order_id = $1 AND revision < $3
                RETURNING order_id, revision, state, failure_reason, updated_at
            )
            INSERT INTO order_change (order_id, revision, state, failure_reason, changed_at)
            SELECT order_id, $3, $2, $4, $5 FROM changed
            """,
            order.order_id,
            order.state.value,
            order.revision,
            order.failure_reason,
            order.updated_at,
        )
        self._database.after_commit(lambda: self._changes.changed(order.order_id))

    async def save_recall(self, order: Order) -> None:
        await self._database.execute(
            """
            UPDATE customer_order SET recall_ids = $2, refunded_minor = $3, updated_at = $4
            WHERE order_id = $1
            """,
            order.order_id,
            order.recall_ids,
            order.refunded.minor if order.refunded else 0,
            order.updated_at,
        )

    async def history(self, order_id: str, after_revision: int) -> Sequence[Order]:
        rows = await self._database.fetch(
            """
            SELECT o.*, c.revision AS then_revision, c.state AS then_state,
                   c.failure_reason AS then_reason, c.changed_at AS then_at
            FROM order_change c JOIN customer_order o USING (order_id)
            WHERE c.order_id = $1 AND c.revision > $2 ORDER BY c.revision
            """,
            order_id,
            after_revision,
        )
        return [
            replace(
                _order(row),
                revision=row["then_revision"],
                state=State(row["then_state"]),
                failure_reason=row["then_reason"],
                updated_at=row["then_at"],
            )
            for row in rows
        ]

    async def page(
        self,
        guest_id: str | None,
        venue_id: str | None,
        state: State | None,
        before: str | None,
        limit: int,
    ) -> Sequence[Order]:
        rows = await self._database.fetch(
            """
            SELECT * FROM customer_order
            WHERE ($1::text IS NULL OR guest_id = $1)
              AND ($2::uuid IS NULL OR venue_id = $2)
              AND ($3::text IS NULL OR state = $3)
              AND ($4::uuid IS NULL OR order_id < $4)
            ORDER BY order_id DESC LIMIT $5
            """,
            guest_id,
            venue_id,
            state.value if state else None,
            before,
            limit,
        )
        return [_order(row) for row in rows]


class PostgresCarts:
    """Implements `Carts`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get(self, guest_id: str, *, lock: bool = False) -> Cart:
        if lock:
            # A cart that does not exist yet cannot be locked; two first additions would lose one.
            await self._database.execute(
                "INSERT INTO cart (guest_id, venue_id, items, revision) VALUES ($1, '', '[]', 0) "
                "ON CONFLICT DO NOTHING",
                guest_id,
            )
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(f"SELECT * FROM cart WHERE guest_id = $1{suffix}", guest_id)
        if row is None:
            return Cart(guest_id)
        items = tuple((item, count) for item, count in json.loads(row["items"]))
        return Cart(guest_id, row["venue_id"], items, row["updated_at"], row["revision"])

    async def save(self, cart: Cart) -> None:
        await self._database.execute(
            "UPDATE cart SET venue_id = $2, items = $3, revision = $4, updated_at = $5 WHERE guest_id = $1",
            cart.guest_id,
            cart.venue_id,
            json.dumps(cart.items),
            cart.revision,
            cart.updated_at,
        )

    async def clear(self, guest_id: str, at: datetime, *, revision: int | None = None) -> None:
        await self._database.execute(
            """
            UPDATE cart SET venue_id = '', items = '[]', revision = revision + 1, updated_at = $3
            WHERE guest_id = $1 AND ($2::bigint IS NULL OR revision = $2)
            """,
            guest_id,
            revision,
            at,
        )


def _lines_to_json(lines: Sequence[Line]) -> str:
    return json.dumps(
        [[line.menu_item_id, line.name, line.quantity, line.unit_price.minor] for line in lines]
    )


def _order(row: asyncpg.Record) -> Order:
    currency: str = row["currency"]
    lines: list[list[Any]] = json.loads(row["lines"])
    return Order(
        order_id=str(row["order_id"]),
        guest_id=row["guest_id"],
        venue_id=str(row["venue_id"]),
        lines=tuple(Line(item, name, count, Money(minor, currency)) for item, name, count, minor in lines),
        total=Money(row["total_minor"], currency),
        state=State(row["state"]),
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        request_id=str(row["request_id"]),
        request_hash=row["request_hash"],
        revision=row["revision"],
        failure_reason=row["failure_reason"],
        recall_ids=tuple(row["recall_ids"]),
        refunded=Money(row["refunded_minor"], currency) if row["refunded_minor"] else None,
    )
