"""Inventory without its process: real database, crops and catalog faked behind their ports."""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import uuid4

import pytest_asyncio

from chassis.clock import FixedClock
from chassis.database import Database
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from chassis.quantity import Quantity
from chassis.saga import SagaEngine
from chassis.testing import PostgresServer, eventually
from services.inventory.adapters.db import PostgresStock
from services.inventory.adapters.kafka import InventoryEvents
from services.inventory.adapters.reservations import PostgresReservations
from services.inventory.adapters.sagas import EngineReceipts
from services.inventory.application.quarantine import Blocked, HoldStock, LiftQuarantine, QuarantineLots
from services.inventory.application.queries import StockQueries
from services.inventory.application.receipt_saga import ReceiptSteps
from services.inventory.application.receive import ReceiveStock
from services.inventory.application.reserve import ReservationCommands
from services.inventory.domain.receipt import Receipt
from services.inventory.domain.stock import Need, StockItem
from tests.integration.inventory.fakes import FakeCatalog, FakeCrops

NOW = datetime(2026, 6, 1, tzinfo=UTC)
OWNER, STRANGER = "11111111-1111-4111-8111-111111111111", "22222222-2222-4222-8222-222222222222"
VENUE = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
RECALL = "cccccccc-cccc-4ccc-8ccc-cccccccccccc"
SOUP = "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


def new_id() -> str:
    return SystemIds().uuid7()


def need(amount: str | int, unit: str = "H87", product: str = "kale", lot_id: str = "") -> Need:
    return Need(SOUP, Quantity.of(amount, unit), "" if lot_id else product, lot_id)


class Inventory:
    """What a test needs at hand."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock = database, FixedClock(NOW)
        self.crops, catalog = FakeCrops(self.clock), FakeCatalog(VENUE, OWNER)
        self.stock, self.store = PostgresStock(database), PostgresReservations(database)
        events = InventoryEvents(database, Outbox("inventory"))
        saga = ReceiptSteps(self.stock, self.crops, events, self.clock).saga()
        self.engine = SagaEngine(database, [saga], poll=timedelta(milliseconds=50))
        receipts = EngineReceipts(database, self.engine)
        self.receive_stock = ReceiveStock(receipts, self.stock, catalog, self.clock, SystemIds())
        self.reservations = ReservationCommands(database, self.stock, self.store, events, self.clock)
        self.quarantine_lots = QuarantineLots(database, self.stock, self.store, events)
        self.lift = LiftQuarantine(database, self.stock, events)
        self.hold = HoldStock(database, self.stock)
        self.queries = StockQueries(self.stock, catalog)

    def lot(self, amount: str | int = 10, unit: str = "H87", product: str = "kale", days: int = 10) -> str:
        """The id of a new lot of OWNER."""
        return self.crops.mint(OWNER, Quantity.of(amount, unit), product, days)

    async def receive(
        self, owner_id: str, venue_id: str, lot_id: str, quantity: Quantity, request_id: str = ""
    ) -> StockItem:
        """One receipt, by default a new one."""
        receipt = Receipt(owner_id, venue_id, lot_id, quantity)
        return await self.receive_stock(request_id or str(uuid4()), receipt)

    async def stocked(self, amount: str | int = 10, unit: str = "H87", days: int = 10) -> StockItem:
        """A lot that was received whole."""
        lot_id = self.lot(amount, unit, days=days)
        return await self.receive(OWNER, VENUE, lot_id, Quantity.of(amount, unit))

    async def quarantine(self, *lot_ids: str, recall_id: str = RECALL) -> Blocked:
        """Block lots for a recall."""
        return await self.quarantine_lots(recall_id, lot_ids, "salmonella")

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
async def inventory(postgres_server: PostgresServer) -> AsyncIterator[Inventory]:
    async with postgres_server.connected("inventory") as database:
        found = Inventory(database)
        working = asyncio.create_task(found.engine.run())
        await eventually(lambda: found.engine.running)
        yield found
        await found.engine.stop()
        await working
