"""An event store with its log on a real PostgreSQL."""

from dataclasses import dataclass

import pytest_asyncio

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.eventstore import EventStore, NewEvent, RecordedEvent, StreamAppend
from chassis.ids import SystemIds
from chassis.merklelog.audit import Audit, AuditReport
from chassis.merklelog.ledger import Ledger
from chassis.merklelog.note import SigningKey
from chassis.merklelog.store import MerkleLog
from chassis.schema import EVENT_STORE_V1, MERKLE_LOG_V1, MERKLE_LOG_V2

KEY = SigningKey("greenledger/test", bytes(range(32)))
EVENT = NewEvent("counted", 1, {"lot_code": "ROM-1", "quantity": {"amount": "12.5"}})


@dataclass
class Logged:
    """What a test needs at hand."""

    database: Database
    store: EventStore
    log: MerkleLog
    ledger: Ledger

    async def append(self, *names: str) -> list[RecordedEvent]:
        """A first event in each of some new streams, in one transaction."""
        return await self.store.append_many([StreamAppend(name, 0, (EVENT,)) for name in names])

    async def audit(self, **options: int) -> AuditReport:
        """The report of an audit."""
        audit = Audit(self.database, self.log, [KEY.verifier], **options)
        steps = [step async for step in audit.run()]
        assert steps[-1].report is not None
        return steps[-1].report


def logged_store(database: Database) -> Logged:
    """The objects on a database that has the tables."""
    clock = SystemClock()
    log = MerkleLog(database)
    store = EventStore(database, clock, SystemIds(), log=log)
    return Logged(database, store, log, Ledger(database, log, KEY, clock))


@pytest_asyncio.fixture
async def logged(database: Database) -> Logged:
    await database.execute(EVENT_STORE_V1)
    await database.execute(MERKLE_LOG_V1)
    await database.execute(MERKLE_LOG_V2)
    return logged_store(database)
