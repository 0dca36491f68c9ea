"""Inventory without its process: real database, crops and catalog faked behind their ports."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest_asyncio

from chassis.clock import FixedClock
from chassis.database import Database
from chassis.database.migrations import upgrade
from chassis.errors import NotFound
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from chassis.quantity import Quantity
from services.inventory.adapters.db import PostgresReservations, PostgresStock
from services.inventory.adapters.kafka import InventoryEvents
from services.inventory.application.quarantine import QuarantineLot
from services.inventory.application.queries import StockQueries
from services.inventory.application.receive import ReceiveStock
from services.inventory.application.reserve import ReservationCommands
from services.inventory.domain.receipt import Lot
from services.inventory.domain.stock import Need, StockItem

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OWNER, STRANGER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
VENUE = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
SOUP = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


def new_id() -> str:
    return SystemIds().uuid7()


def need(amount: str | int, unit: str = "H87", product: str = "kale", lot_id: str = "") -> Need:
    return Need(SOUP, Quantity.of(amount, unit), "" if lot_id else product, lot_id)


@dataclass
class FakeCrops:
    """The crops service."""

    lots: dict[str, Lot] = field(default_factory=dict)

    async def lot(self, lot_id: str) -> Lot:
        if lot_id not in self.lots:
            raise NotFound("LOT_NOT_FOUND", "there is no such lot")
        return self.lots[lot_id]


class FakeCatalog:
    """The catalog service with one venue."""

    async def venue_owner(self, venue_id: str) -> str:
        if venue_id != VENUE:
            raise NotFound("VENUE_NOT_FOUND", "there is no such venue")
        return OWNER


class Inventory:
    """What a test needs at hand."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock, self.crops = database, FixedClock(NOW), FakeCrops()
        ids, catalog = SystemIds(), FakeCatalog()
        self.stock, self.store = PostgresStock(database), PostgresReservations(database)
        events = InventoryEvents(database, Outbox("inventory"))
        self.receive = ReceiveStock(database, self.stock, self.crops, catalog, events, self.clock, ids)
        self.reservations = ReservationCommands(database, self.stock, self.store, events, self.clock)
        self.quarantine = QuarantineLot(database, self.stock, events)
        self.queries = StockQueries(self.stock, catalog)

    def lot(self, amount: str | int = 10, unit: str = "H87", product: str = "kale", days: int = 10) -> str:
        """The id of a new lot of OWNER."""
        lot_id = new_id()
        expires_at = self.clock.now() + timedelta(days=days)
        self.crops.lots[lot_id] = Lot(
            lot_id, OWNER, product, Quantity.of(amount, unit), expires_at, recalled=False
        )
        return lot_id

    async def stocked(self, amount: str | int = 10, unit: str = "H87", days: int = 10) -> StockItem:
        """A lot that was received whole."""
        lot_id = self.lot(amount, unit, days=days)
        return await self.receive(OWNER, VENUE, lot_id, Quantity.of(amount, unit))

    async def reserved(self, *needs: Need) -> str:
        """The order of a new reservation."""
        order_id = new_id()
        await self.reservations.reserve(order_id, VENUE, needs)
        return order_id

    async def amounts(self, item: StockItem) -> tuple[str, str]:
        """(on hand, reserved) as they are now."""
        present = await self.stock.get(item.stock_item_id)
        assert present is not None
        return present.on_hand.text, present.reserved.text

    async def ensure_exact(self) -> None:
        """What stock says is reserved is what open reservations hold, to the last digit."""
        rows = await self.database.fetch(
            """
            SELECT s.reserved, coalesce((
                SELECT sum(a.amount) FROM allocation a JOIN reservation r USING (order_id)
                WHERE a.stock_item_id = s.stock_item_id AND r.state IN ('HELD', 'CONFIRMED')
            ), 0) AS held
            FROM stock_item s
            """
        )
        assert [row["reserved"] for row in rows] == [row["held"] for row in rows]

    async def received(self, lot_id: str) -> Decimal:
        """What all receipts of a lot brought in."""
        total = await self.database.fetchval(
            "SELECT coalesce(sum(on_hand), 0) FROM stock_item WHERE lot_id = $1", lot_id
        )
        return Decimal(total)


@pytest_asyncio.fixture
async def inventory(database_dsn: str, database: Database) -> AsyncIterator[Inventory]:
    await upgrade(database_dsn, "inventory")
    yield Inventory(database)
