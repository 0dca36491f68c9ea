"""Orders without its process: real database and saga engine, other services faked behind their ports."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest_asyncio

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.ids import SystemIds
from chassis.money import Money
from chassis.outbox import Outbox
from chassis.saga import SagaEngine
from chassis.testing import PostgresServer, eventually
from chassis.wakeup import Watchers
from services.orders.adapters.db import PostgresCarts, PostgresOrders
from services.orders.adapters.kafka import OrderEvents
from services.orders.adapters.sagas import EngineCheckouts, EngineRecalls
from services.orders.application.carts import CartCommands
from services.orders.application.checkout import Checkout
from services.orders.application.checkout_saga import CheckoutSteps
from services.orders.application.queries import OrderQueries
from services.orders.application.recalled_order import RecalledOrderSteps, SeeToAffectedOrder
from services.orders.domain.order import Order
from tests.integration.orders.fakes import FakeCatalog, FakeInventory, FakePayments

ANN, BOB = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
VENUE = "cccccccc-cccc-4ccc-8ccc-cccccccccccc"
OWNER = "dddddddd-dddd-4ddd-8ddd-dddddddddddd"
LEASE = timedelta(milliseconds=400)


class Orders:
    """What a test needs at hand."""

    def __init__(self, database: Database) -> None:
        self.database, self.clock = database, SystemClock()
        self.catalog, self.inventory, self.payments = FakeCatalog(), FakeInventory(), FakePayments()
        self.changes = Watchers()
        self.store, self.carts = PostgresOrders(database, self.changes), PostgresCarts(database)
        self.events = OrderEvents(database, Outbox("orders"))
        steps = CheckoutSteps(self.store, self.carts, self.inventory, self.payments, self.events, self.clock)
        self.saga = steps.saga()
        self.recalled_saga = RecalledOrderSteps(self.store, self.payments, self.events, self.clock).saga()
        self.cart = CartCommands(database, self.carts, self.catalog, self.clock)
        self.queries = OrderQueries(self.store, self.catalog, self.changes, timedelta(milliseconds=30))
        self.soup = self.catalog.add(VENUE, Money(500, "USD"), owner=OWNER)
        self.engine = self.new_engine()

    def new_engine(self) -> SagaEngine:
        """An engine that is not running; checkouts go to the newest one."""
        self.engine = SagaEngine(
            self.database,
            [self.saga, self.recalled_saga],
            lease=LEASE,
            poll=timedelta(milliseconds=20),
            clock=self.clock,
        )
        self.see_to = SeeToAffectedOrder(self.store, EngineRecalls(self.database, self.engine))
        sagas = EngineCheckouts(self.database, self.engine)
        self.checkout = Checkout(
            self.database, self.store, self.carts, self.catalog, sagas, self.events, self.clock, SystemIds()
        )
        return self.engine

    async def order(
        self, items: Sequence[tuple[str, int]] | None = None, *, request_id: str = "", method: str = "pm_card"
    ) -> Order:
        """Check out; by default one soup for ANN."""
        wanted = [(self.soup, 1)] if items is None else items
        return await self.checkout(ANN, request_id or SystemIds().uuid7(), method, wanted)

    async def topics(self) -> list[str]:
        """What others were told, in order."""
        rows = await self.database.fetch("SELECT topic FROM outbox ORDER BY position")
        return [row["topic"].removeprefix("order.") for row in rows]

    async def ensure_consistent(self) -> None:
        """Money captured equals orders fulfilled; no reservation without a live order; all told once."""
        rows = await self.database.fetch("SELECT order_id::text, state FROM customer_order")
        by_state: dict[str, set[str]] = {}
        for row in rows:
            by_state.setdefault(row["state"], set()).add(row["order_id"])
        assert set(by_state) <= {"FULFILLED", "FAILED"}
        fulfilled = by_state.get("FULFILLED", set())
        assert self.payments.orders_in("CAPTURED") == fulfilled
        assert not self.payments.orders_in("AUTHORIZED")
        assert self.inventory.reserved == 0
        consumed = {order for order, state in self.inventory.states.items() if state == "CONSUMED"}
        assert consumed == fulfilled
        for topic, orders in (("fulfilled", fulfilled), ("failed", by_state.get("FAILED", set()))):
            told = await self.database.fetch("SELECT key FROM outbox WHERE topic = $1", f"order.{topic}")
            assert sorted(row["key"] for row in told) == sorted(orders)


@asynccontextmanager
async def running(engine: SagaEngine) -> AsyncIterator[SagaEngine]:
    """The engine at work for the body of the `with` statement."""
    task = asyncio.create_task(engine.run())
    await eventually(lambda: engine.running or task.done(), interval_s=0.001)
    try:
        yield engine
    finally:
        await engine.stop()
        await asyncio.wait({task})


@pytest_asyncio.fixture
async def idle_orders(postgres_server: PostgresServer) -> AsyncIterator[Orders]:
    """Migrated as in production; the saga engine does not run."""
    async with postgres_server.connected("orders") as database:
        yield Orders(database)


@pytest_asyncio.fixture
async def orders(idle_orders: Orders) -> AsyncIterator[Orders]:
    """With its engine at work."""
    async with running(idle_orders.engine):
        yield idle_orders
