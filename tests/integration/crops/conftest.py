"""The crops service without its process: real database, engine and projection, other services faked."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest_asyncio

from chassis.clock import SystemClock
from chassis.context import Principal
from chassis.database import Database
from chassis.eventstore import EventStore
from chassis.ids import SystemIds
from chassis.merklelog.store import MerkleLog
from chassis.outbox import Outbox
from chassis.projection import ProjectionRunner
from chassis.saga import SagaEngine
from chassis.testing import PostgresServer, eventually
from chassis.wakeup import Watchers
from greenledger.events.v1.event_pb2 import Event
from services.crops.adapters.db import ProjectedLots
from services.crops.adapters.events import UPCASTERS
from services.crops.adapters.lot_histories import StoredLotHistories
from services.crops.adapters.lots import EventSourcedLots
from services.crops.adapters.physical_grpc import PhysicalCommands
from services.crops.adapters.projection import LOTS
from services.crops.adapters.recall_saga import EngineRecalls, recall_saga
from services.crops.adapters.sagas import Announcements, EngineTransfers, transfer_saga
from services.crops.application.commitments import CommitQuantity, ReleaseQuantity
from services.crops.application.correct_lot import CorrectLot
from services.crops.application.deliver_committed import DeliverCommitted
from services.crops.application.handover import (
    AcceptOffer,
    ExpireOffers,
    OfferLot,
    RejectOffer,
    WithdrawOffer,
)
from services.crops.application.hold_lot import DestroyLot, HoldLot, ReleaseHold, ReleaseRecall
from services.crops.application.mint_lot import MintLot
from services.crops.application.observe_lot import ObserveLot
from services.crops.application.read_lots import ReadLots
from services.crops.application.recall_lot import RecallLot
from services.crops.application.recall_steps import RecallSteps
from services.crops.application.sell_lot import SellLot
from services.crops.application.ship_lot import ReceiveLot, RecordTransport, ShipLot, VoidShipment
from services.crops.application.split_lot import SplitLot
from services.crops.application.transfer_lot import TransferLot
from services.crops.application.transfer_steps import TransferSteps
from services.crops.application.transform_lots import MergeLots, TransformLots
from services.crops.application.units import PackUnit, ReceiveUnit, ShipUnit, UnpackUnit
from services.crops.application.views import LotView
from services.crops.domain.events import RecallClass
from tests.integration.crops.fakes import FakeDirectory, FakeNotifier, FakeQuarantine
from tests.unit.crops.lots import BUYER, GROWER, harvest

OPERATOR = Principal("99999999-9999-4999-8999-999999999999", "user", permissions=frozenset({"crops.recall"}))


def user(subject: str) -> Principal:
    """A caller."""
    return Principal(subject, "user")


def service(name: str) -> Principal:
    """A service that calls by itself."""
    return Principal(name, "service")


class Crops:
    """What a test needs at hand."""

    def __init__(self, database: Database) -> None:
        clock, ids = SystemClock(), SystemIds()
        self.database = database
        self.log = MerkleLog(database)
        self.store = EventStore(database, clock, ids, UPCASTERS, self.log)
        self.changes = Watchers()
        self.lots = EventSourcedLots(database, self.store, Outbox("crops"), self.changes)
        self.queries = ProjectedLots(database, clock, patience_s=5)
        self.directory, self.notifier = FakeDirectory(), FakeNotifier()
        self.quarantine = FakeQuarantine()
        for subject, name in ((GROWER, "Green Acres"), (BUYER, "Bistro")):
            self.directory.add(subject, name)
            self.notifier.known.add(subject)
        announcements = Announcements()
        self.recall_steps = RecallSteps(database, self.lots, self.quarantine, clock)
        steps = TransferSteps(self.lots, self.queries, self.directory, self.notifier, clock)
        self.engine = SagaEngine(
            database,
            [
                transfer_saga(steps, announcements),
                recall_saga(self.recall_steps),
            ],
            lease=timedelta(milliseconds=900),
            poll=timedelta(milliseconds=50),
        )
        self.projection = ProjectionRunner(database, self.store, LOTS)
        self.mint = MintLot(database, self.lots, clock, ids)
        transfers = EngineTransfers(database, self.engine, announcements, clock)
        self.transfer = TransferLot(database, transfers, self.lots, clock)
        self.split = SplitLot(database, self.lots, clock, ids)
        self.recall_lot = RecallLot(database, EngineRecalls(database, self.engine), self.lots, clock)
        self.commit = CommitQuantity(database, self.lots, clock)
        self.deliver = DeliverCommitted(database, self.lots, clock, ids)
        self.release = ReleaseQuantity(database, self.lots, clock)
        self.merge = MergeLots(database, self.lots, clock, ids)
        self.transform = TransformLots(database, self.lots, clock, ids)
        self.hold = HoldLot(database, self.lots, clock)
        self.release_hold = ReleaseHold(database, self.lots, clock)
        self.destroy = DestroyLot(database, self.lots, clock)
        self.sell = SellLot(database, self.lots, clock)
        self.release_recall = ReleaseRecall(database, self.lots, clock)
        self.offer = OfferLot(database, self.lots, clock, ids)
        self.accept = AcceptOffer(database, self.lots, clock, self.transfer)
        self.reject = RejectOffer(database, self.lots, clock)
        self.withdraw = WithdrawOffer(database, self.lots, clock)
        self.expire = ExpireOffers(database, self.lots, clock, self.queries)
        self.physical = PhysicalCommands(
            clock,
            ship=ShipLot(database, self.lots, clock, ids),
            void=VoidShipment(database, self.lots, clock),
            transport=RecordTransport(database, self.lots, clock),
            receive=ReceiveLot(database, self.lots, clock),
            observe=ObserveLot(database, self.lots, clock),
            correct=CorrectLot(database, self.lots, clock, StoredLotHistories(self.store)),
            pack=PackUnit(database, self.lots, clock, ids),
            unpack=UnpackUnit(database, self.lots, clock, ids),
            ship_unit=ShipUnit(database, self.lots, clock, ids),
            receive_unit=ReceiveUnit(database, self.lots, clock, ids),
        )
        self.read = ReadLots(self.queries, self.lots, self.changes, heartbeat=timedelta(milliseconds=300))

    async def minted(self, code: str = "ROM-1", **changes: Any) -> LotView:
        """A new lot of GROWER, fresh by the system's clock."""
        now = SystemClock().now()
        changes = {"harvest_time": now - timedelta(days=1), "expire_time": now + timedelta(days=9), **changes}
        return await self.mint(user(GROWER), harvest(lot_code=code, **changes))

    async def recall(
        self, actor: Principal, lot_id: str, reason: str, recall_class: RecallClass, request_id: str = ""
    ) -> tuple[LotView, list[str]]:
        """One recall, by default a new one."""
        request_id = request_id or str(uuid4())
        _, lot, recalled = await self.recall_lot(actor, request_id, lot_id, reason, recall_class)
        return lot, recalled

    async def published(self, topic: str) -> list[Event]:
        """What went into the outbox, oldest first."""
        rows = await self.database.fetch(
            "SELECT payload FROM outbox WHERE topic = $1 ORDER BY position", topic
        )
        return [Event.FromString(row["payload"]) for row in rows]

    async def dump(self, table: str) -> list[dict[str, Any]]:
        """All rows of a table in a fixed order."""
        rows = await self.database.fetch(f"SELECT * FROM {table} AS t ORDER BY t::text")
        return [dict(row) for row in rows]


@dataclass
class Running:
    """Loops at work; closed in the reverse order."""

    stack: AsyncExitStack

    def start(self, loop: Any) -> None:
        task = asyncio.create_task(loop.run())

        async def end() -> None:
            await loop.stop()
            await task

        self.stack.push_async_callback(end)


@pytest_asyncio.fixture
async def idle_crops(postgres_server: PostgresServer) -> AsyncIterator[Crops]:
    """Migrated as in production; neither saga engine nor projection at work."""
    async with postgres_server.connected("crops") as database:
        yield Crops(database)


@pytest_asyncio.fixture
async def crops(idle_crops: Crops) -> AsyncIterator[Crops]:
    """With its loops at work."""
    async with AsyncExitStack() as stack:
        running = Running(stack)
        running.start(idle_crops.engine)
        running.start(idle_crops.projection)
        await eventually(lambda: idle_crops.engine.running)
        yield idle_crops
