"""Changes of circuit breakers reach the outbox, and never a call."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest

from chassis.clock import FixedClock
from chassis.database import Database
from chassis.discovery import BreakerNews
from chassis.outbox import OUTBOX_V1, Outbox
from chassis.resilience import BreakerChange, BreakerPolicy, BreakerState, Callees, CallPolicy, Outcome
from chassis.settings import Settings
from chassis.testing import eventually
from chassis.testing.service import published
from greenledger.control.v1 import events_pb2
from greenledger.events.v1.event_pb2 import Event

pytestmark = pytest.mark.slow
SETTINGS = Settings("orders", "", "", "", Path("/secrets"), instance_id="orders-1")
TOPIC = "control.breaker-changed"
CHANGE = BreakerChange("catalog", BreakerState.OPEN, BreakerState.CLOSED, "10 in a row failed")


@asynccontextmanager
async def telling(news: BreakerNews) -> AsyncIterator[None]:
    task = asyncio.create_task(news.run())
    try:
        yield
    finally:
        await news.stop()
        await task


def decoded(event: Event) -> events_pb2.BreakerChanged:
    payload = events_pb2.BreakerChanged()
    assert event.payload.Unpack(payload)
    return payload


async def test_each_change_is_an_event_of_caller_and_callee(database: Database) -> None:
    await database.execute(OUTBOX_V1)
    callees = Callees(FixedClock(), CallPolicy(breaker=BreakerPolicy(consecutive_failures=1)))
    news = BreakerNews(SETTINGS, database, Outbox("orders"))
    callees.on_breaker_change(news.tell)
    async with telling(news):
        breaker = callees.get("catalog").breaker
        given = breaker.admit()
        assert given is not None
        breaker.settle(given, Outcome.FAILED)
        (event,) = await eventually(lambda: published(database, TOPIC))
    assert (event.aggregate_type, event.aggregate_id) == ("breaker", "orders/catalog")
    assert decoded(event) == events_pb2.BreakerChanged(
        caller="orders",
        callee="catalog",
        instance_id="orders-1",
        state=events_pb2.BREAKER_STATE_OPEN,
        previous_state=events_pb2.BREAKER_STATE_CLOSED,
        detail="1 in a row failed",
    )


async def test_while_the_database_refuses_changes_wait_and_the_oldest_go_first(database: Database) -> None:
    news = BreakerNews(SETTINGS, database, Outbox("orders"), most=3, pause=timedelta(milliseconds=20))
    async with telling(news):  # there is no outbox yet
        for number in range(5):
            news.tell(BreakerChange("catalog", BreakerState.OPEN, BreakerState.CLOSED, str(number)))
        await database.execute(OUTBOX_V1)
        await eventually(lambda: told(database, 3))
        assert [decoded(event).detail for event in await published(database, TOPIC)] == ["2", "3", "4"]


async def test_what_is_left_is_published_before_the_process_ends(database: Database) -> None:
    await database.execute(OUTBOX_V1)
    news = BreakerNews(SETTINGS, database, Outbox("orders"))
    async with telling(news):
        await asyncio.sleep(0)
        news.tell(CHANGE)
    assert await told(database, 1)


async def told(database: Database, count: int) -> bool:
    return len(await published(database, TOPIC)) == count
