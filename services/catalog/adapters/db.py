"""Venues and menus in PostgreSQL."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime

import asyncpg

from chassis.database import Database
from chassis.money import Money
from chassis.quantity import Quantity
from services.catalog.domain.menu_item import Ingredient, MenuItem, PriceChange
from services.catalog.domain.recall import QuarantinedStock
from services.catalog.domain.venue import Address, Venue


class PostgresVenues:
    """Implements `Venues`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, venue: Venue) -> None:
        await self._database.execute(
            "INSERT INTO venue (venue_id, owner_id, name, address, created_at) VALUES ($1, $2, $3, $4, $5)",
            venue.venue_id,
            venue.owner_id,
            venue.name,
            json.dumps(asdict(venue.address)),
            venue.created_at,
        )

    async def get(self, venue_id: str) -> Venue | None:
        row = await self._database.fetchrow("SELECT * FROM venue WHERE venue_id = $1", venue_id)
        return _venue(row) if row else None

    async def page(self, owner_id: str | None, after: str | None, limit: int) -> Sequence[Venue]:
        rows = await self._database.fetch(
            """
            SELECT * FROM venue
            WHERE ($1::text IS NULL OR owner_id = $1) AND ($2::uuid IS NULL OR venue_id > $2)
            ORDER BY venue_id LIMIT $3
            """,
            owner_id,
            after,
            limit,
        )
        return [_venue(row) for row in rows]

    async def lock(self, venue_id: str, *, shared: bool = False) -> None:
        strength = "SHARE" if shared else "NO KEY UPDATE"
        await self._database.execute(f"SELECT FROM venue WHERE venue_id = $1 FOR {strength}", venue_id)


class PostgresMenuItems:
    """Implements `MenuItems`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, item: MenuItem) -> None:
        await self._database.execute(
            """
            WITH added AS (
                INSERT INTO menu_item (menu_item_id, venue_id, name, description, price_minor, currency,
                                       ingredients, available, revision, created_at, updated_at,
                                       recall_ids, put_back_later)
                VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)
            )
            INSERT INTO price_change (menu_item_id, revision, since, price_minor, currency)
            VALUES ($1, $9, $11, $5, $6)
            """,
            *_row(item),
        )

    async def get(self, menu_item_id: str, *, lock: bool = False) -> MenuItem | None:
        suffix = " FOR UPDATE" if lock else ""
        row = await self._database.fetchrow(
            f"SELECT * FROM menu_item WHERE menu_item_id = $1{suffix}", menu_item_id
        )
        return _item(row) if row else None

    async def get_many(self, menu_item_ids: Sequence[str]) -> Sequence[MenuItem]:
        rows = await self._database.fetch(
            "SELECT * FROM menu_item WHERE menu_item_id = ANY($1::uuid[])", list(menu_item_ids)
        )
        return [_item(row) for row in rows]

    async def save(self, item: MenuItem) -> None:
        await self._database.execute(
            """
            WITH last AS (
                SELECT price_minor, currency FROM menu_item WHERE menu_item_id = $1
            ), priced AS (
                INSERT INTO price_change (menu_item_id, revision, since, price_minor, currency)
                SELECT $1, $9, $11, $5, $6 FROM last WHERE (last.price_minor, last.currency) <> ($5, $6)
            )
            UPDATE menu_item SET venue_id = $2, name = $3, description = $4, price_minor = $5, currency = $6,
                ingredients = $7, available = $8, revision = $9, created_at = $10, updated_at = $11,
                recall_ids = $12, put_back_later = $13
            WHERE menu_item_id = $1
            """,
            *_row(item),
        )

    async def page(
        self, venue_id: str | None, available_only: bool, after: str | None, limit: int
    ) -> Sequence[MenuItem]:
        rows = await self._database.fetch(
            """
            SELECT * FROM menu_item
            WHERE ($1::uuid IS NULL OR venue_id = $1)
              AND (available OR NOT $2)
              AND ($3::uuid IS NULL OR menu_item_id > $3)
            ORDER BY menu_item_id LIMIT $4
            """,
            venue_id,
            available_only,
            after,
            limit,
        )
        return [_item(row) for row in rows]

    async def of_venue(self, venue_id: str) -> Sequence[MenuItem]:
        rows = await self._database.fetch(
            "SELECT * FROM menu_item WHERE venue_id = $1 ORDER BY menu_item_id FOR UPDATE", venue_id
        )
        return [_item(row) for row in rows]

    async def prices(self, menu_item_id: str, before: int | None, limit: int) -> Sequence[PriceChange]:
        rows = await self._database.fetch(
            """
            SELECT * FROM price_change
            WHERE menu_item_id = $1 AND ($2::bigint IS NULL OR revision < $2)
            ORDER BY revision DESC LIMIT $3
            """,
            menu_item_id,
            before,
            limit,
        )
        return [
            PriceChange(Money(row["price_minor"], row["currency"]), row["since"], row["revision"])
            for row in rows
        ]


class PostgresQuarantines:
    """Implements `Quarantines`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def begin(self, stock: QuarantinedStock, at: datetime) -> bool:
        holds = await self._database.fetchval(
            """
            INSERT INTO quarantined_stock AS q (stock_item_id, venue_id, lot_id, product_code, begun_at)
            VALUES ($1, $2, $3, $4, $5)
            ON CONFLICT (stock_item_id) DO UPDATE
            SET lot_id = excluded.lot_id, product_code = excluded.product_code,
                begun_at = greatest(q.begun_at, excluded.begun_at)
            RETURNING holds
            """,
            stock.stock_item_id,
            stock.venue_id,
            stock.lot_id,
            stock.product_code,
            at,
        )
        return bool(holds)

    async def lift(self, stock_item_id: str, venue_id: str, at: datetime) -> None:
        await self._database.execute(
            """
            INSERT INTO quarantined_stock AS q (stock_item_id, venue_id, lifted_at) VALUES ($1, $2, $3)
            ON CONFLICT (stock_item_id) DO UPDATE SET lifted_at = greatest(q.lifted_at, excluded.lifted_at)
            """,
            stock_item_id,
            venue_id,
            at,
        )

    async def of_venue(self, venue_id: str) -> Sequence[QuarantinedStock]:
        rows = await self._database.fetch(
            "SELECT * FROM quarantined_stock WHERE venue_id = $1 AND holds", venue_id
        )
        return [
            QuarantinedStock(row["stock_item_id"], row["venue_id"], row["lot_id"], row["product_code"])
            for row in rows
        ]

    async def taken_off(self, recall_id: str, menu_item_id: str) -> bool:
        first = await self._database.fetchval(
            """
            INSERT INTO taken_off (recall_id, menu_item_id) VALUES ($1, $2)
            ON CONFLICT DO NOTHING RETURNING true
            """,
            recall_id,
            menu_item_id,
        )
        return bool(first)


def _venue(row: asyncpg.Record) -> Venue:
    address = Address(**json.loads(row["address"]))
    return Venue(str(row["venue_id"]), row["owner_id"], row["name"], address, row["created_at"])


def _row(item: MenuItem) -> tuple[object, ...]:
    ingredients = [
        [used.quantity.text, used.quantity.unit, used.product_code, used.lot_id] for used in item.ingredients
    ]
    return (
        item.menu_item_id,
        item.venue_id,
        item.name,
        item.description,
        item.price.minor,
        item.price.currency,
        json.dumps(ingredients),
        item.available,
        item.revision,
        item.created_at,
        item.updated_at,
        list(item.recall_ids),
        item.put_back_later,
    )


def _item(row: asyncpg.Record) -> MenuItem:
    ingredients = tuple(
        Ingredient(Quantity.of(amount, unit), product, lot)
        for amount, unit, product, lot in json.loads(row["ingredients"])
    )
    return MenuItem(
        menu_item_id=str(row["menu_item_id"]),
        venue_id=str(row["venue_id"]),
        name=row["name"],
        description=row["description"],
        price=Money(row["price_minor"], row["currency"]),
        ingredients=ingredients,
        created_at=row["created_at"],
        updated_at=row["updated_at"],
        available=row["available"],
        revision=row["revision"],
        recall_ids=tuple(row["recall_ids"]),
        put_back_later=row["put_back_later"],
    )
