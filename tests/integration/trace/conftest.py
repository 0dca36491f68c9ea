"""The trace service without its process."""

from collections.abc import AsyncIterator, Iterable
from itertools import groupby
from typing import Any

import pytest_asyncio

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.inbox import ReceivedEvent
from chassis.paging import PageTokens
from chassis.testing import PostgresServer
from services.trace.adapters.db import PostgresGraphReader
from services.trace.adapters.graph_writer import PostgresGraphWriter
from services.trace.adapters.grpc import TraceServicer
from services.trace.adapters.journal_reader import PostgresJournal
from services.trace.adapters.kafka import subscriptions
from services.trace.adapters.scope import PostgresScopeReader
from services.trace.application.cold_chain import ColdChain
from services.trace.application.export_records import ExportRecords
from services.trace.application.find_gaps import FindGaps
from services.trace.application.learn import Learn
from services.trace.application.mass_balance import MassBalances
from services.trace.application.recall_scope import RecallScopes
from services.trace.application.trace_goods import TraceGoods

TABLES = [
    "traced_lot",
    "lot_edge",
    "custody",
    "stock",
    "venue",
    "menu_item",
    "traced_order",
    "allocation",
    "lot_recall",
    "shipment",
    "unit_change",
    "journal",
    "reading",
    "partner_movement",
    "partner_measured",
    "partner_reading",
    "partner_withdrawal",
    "learned",
    "menu_item_past",
]


class Trace:
    """What a test needs at hand."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.ask = TraceGoods(PostgresGraphReader(database))
        self.scopes = RecallScopes(PostgresScopeReader(database))
        self._handlers = {
            subscription.topic: subscription.batch_handler
            for subscription in subscriptions(Learn(PostgresGraphWriter(database)))
        }

    def servicer(self) -> TraceServicer:
        """The RPCs, without the chain in front of them."""
        journal = PostgresJournal(self.database)
        return TraceServicer(
            self.ask,
            self.scopes,
            PageTokens(b"0123456789abcdef"),
            MassBalances(journal),
            ColdChain(journal),
            FindGaps(journal, SystemClock()),
            ExportRecords(journal),
        )

    @property
    def topics(self) -> set[str]:
        return set(self._handlers)

    async def hear(self, events: Iterable[ReceivedEvent[Any]], at_once: int = 3) -> None:
        """Deliver events in this order; neighbours of one topic arrive as batches of at most so many."""
        for topic, run in groupby(events, key=lambda event: event.type):
            arrived = list(run)
            for start in range(0, len(arrived), at_once):
                handler = self._handlers[topic]
                assert handler is not None
                async with self.database.transaction() as tx:
                    await handler(arrived[start : start + at_once], tx)

    async def graph(self) -> dict[str, Any]:
        """All that is known, in a fixed order, without the positions at which it was learned."""
        known: dict[str, Any] = {}
        for table in TABLES[:-2]:
            rows = [dict(row) for row in await self.database.fetch(f"SELECT * FROM {table}")]
            kept = [{name: row[name] for name in row if not name.endswith("position")} for row in rows]
            known[table] = sorted(kept, key=str)
        known["as_of"] = await self.database.fetchval("SELECT max(at) FROM learned")
        return known

    async def forget(self) -> None:
        """Start anew."""
        await self.database.execute(f"TRUNCATE {', '.join(TABLES)}")


@pytest_asyncio.fixture
async def trace(postgres_server: PostgresServer) -> AsyncIterator[Trace]:
    """Migrated as in production, knowing nothing."""
    async with postgres_server.connected("trace") as database:
        yield Trace(database)
