"""Payments without its process: real database, the simulator, and a gate to stop it at a call."""

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest_asyncio

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.ids import SystemIds
from chassis.money import Money
from chassis.outbox import Outbox
from chassis.testing import PostgresServer
from services.payments.adapters.db import PostgresPayments
from services.payments.adapters.kafka import PaymentEvents
from services.payments.adapters.simulator import SimulatedProvider
from services.payments.application.authorize import AuthorizePayment
from services.payments.application.capture import CapturePayment
from services.payments.application.ports import Approved, Refused
from services.payments.application.queries import PaymentQueries
from services.payments.application.refund import RefundPayment
from services.payments.application.void import VoidPayment
from services.payments.domain.payment import Payment

ANN = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa"
TEN = Money(1000, "USD")


class GatedProvider(SimulatedProvider):
    """The simulator, whose calls of one kind wait at a gate before they reach its books, if there is one."""

    def __init__(self, database: Database) -> None:
        super().__init__(database, timeout=timedelta(milliseconds=10))
        self.gates: dict[str, asyncio.Barrier] = {}

    async def authorize(self, key: str, amount: Money, method: str) -> Approved | Refused:
        await self._pass("authorize")
        return await super().authorize(key, amount, method)

    async def capture(self, key: str) -> None:
        await self._pass("capture")
        await super().capture(key)

    async def void(self, key: str) -> None:
        await self._pass("void")
        await super().void(key)

    async def _pass(self, call: str) -> None:
        if call in self.gates:
            await self.gates[call].wait()


class Payments:
    """What a test needs at hand."""

    def __init__(self, database: Database) -> None:
        clock, ids = SystemClock(), SystemIds()
        self.database = database
        self.store = PostgresPayments(database)
        self.provider = GatedProvider(database)
        events = PaymentEvents(database, Outbox("payments"))
        facts = (database, self.store, self.provider, events, clock)
        self.authorize = AuthorizePayment(*facts, ids)
        self.capture = CapturePayment(*facts)
        self.void = VoidPayment(*facts, ids)
        self.refund = RefundPayment(*facts)
        self.queries = PaymentQueries(self.store)

    def new_order(self) -> str:
        return SystemIds().uuid7()

    async def authorized(self, amount: Money = TEN, method: str = "pm_card") -> str:
        """The order of a new payment."""
        order_id = self.new_order()
        await self.authorize(order_id, ANN, amount, method)
        return order_id

    async def captured(self, amount: Money = TEN) -> str:
        """The order of a payment that was taken."""
        order_id = await self.authorized(amount)
        await self.capture(order_id)
        return order_id

    async def of_order(self, order_id: str) -> Payment:
        payment = await self.store.of_order(order_id)
        assert payment is not None
        return payment

    async def books(self, order_id: str) -> dict[str, Any] | None:
        """What the simulator knows of an order's payment."""
        payment = await self.of_order(order_id)
        row = await self.database.fetchrow(
            "SELECT * FROM simulated_charge WHERE key = $1", payment.payment_id
        )
        return dict(row) if row else None

    async def ensure_books_agree(self) -> None:
        """Every payment stands in the simulator's books as it stands in ours."""
        rows = await self.database.fetch(
            """
            SELECT p.state AS ours, c.state AS theirs, p.amount_minor, p.refunded_minor,
                   c.captured_minor, c.refunded_minor AS given_back
            FROM payment p FULL JOIN simulated_charge c ON c.key = p.payment_id::text
            """
        )
        assert rows
        for row in rows:
            assert row["ours"] is not None, "the provider has a charge that we know nothing of"
            if row["theirs"] is None:  # never asked, or the tombstone of an order that never came
                assert row["ours"] in ("PENDING", "VOIDED")
                continue
            assert row["ours"] == row["theirs"]
            assert row["captured_minor"] == (row["amount_minor"] if row["ours"] == "CAPTURED" else 0)
            assert row["given_back"] == row["refunded_minor"]


@pytest_asyncio.fixture
async def payments(postgres_server: PostgresServer) -> AsyncIterator[Payments]:
    async with postgres_server.connected("payments") as database:
        yield Payments(database)
