"""Earlier answers of reads that allow them, while their service is away."""

import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import grpc
import pytest

from chassis import errors
from chassis.clock import FixedClock, SystemClock
from chassis.errors import Unavailable
from chassis.resilience import BreakerPolicy, Callees, CallPolicy, StaleAnswers
from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from interceptors.attempts import Attempts
from interceptors.client import ClientChain
from interceptors.fallback import Fallback
from interceptors.guard import Guard
from tests.integration.interceptors.harness import CATALOG, serve

AWAY = Unavailable("UNAVAILABLE", "Away.")
VENUE, ITEM = str(uuid.uuid4()), str(uuid.uuid4())


class Catalog(catalog_pb2_grpc.CatalogServiceServicer):
    """Answers, or fails as the test says."""

    def __init__(self) -> None:
        self.error: Exception | None = None

    def check(self) -> None:
        if self.error is not None:
            raise self.error

    async def GetVenue(self, request: Any, context: Any) -> Any:
        self.check()
        return catalog_pb2.Venue(venue_id=request.venue_id, name="Corner")

    async def GetMenuItem(self, request: Any, context: Any) -> Any:
        self.check()
        return catalog_pb2.MenuItem(menu_item_id=request.menu_item_id, name="Soup")

    async def BatchGetMenuItems(self, request: Any, context: Any) -> Any:
        self.check()
        return catalog_pb2.BatchGetMenuItemsResponse()


@dataclass
class Bench:
    """A caller with a clock of its own, and the callee."""

    catalog: Catalog
    stub: Any
    callees: Callees
    clock: FixedClock

    async def venue(self, venue_id: str = VENUE, **details: Any) -> Any:
        """The read at hand."""
        return await self.stub.GetVenue(catalog_pb2.GetVenueRequest(venue_id=venue_id), timeout=5, **details)


@asynccontextmanager
async def calling(policy: CallPolicy | None = None) -> AsyncIterator[Bench]:
    catalog, clock = Catalog(), FixedClock()
    callees = Callees(SystemClock(), policy or CallPolicy(attempts=1))
    delivery = Fallback(Guard(Attempts(SystemClock())), StaleAnswers(clock), clock)
    chain = ClientChain([], callees, SystemClock(), delivery=delivery).interceptors()
    async with (
        serve((CATALOG, catalog)) as server,
        grpc.aio.insecure_channel(server.address, interceptors=chain) as channel,
    ):
        yield Bench(catalog, catalog_pb2_grpc.CatalogServiceStub(channel), callees, clock)


async def test_a_venue_is_known_for_a_minute_after_its_service_went_away() -> None:
    async with calling() as bench:
        fresh = await bench.venue()
        bench.catalog.error = AWAY
        bench.clock.advance(timedelta(seconds=59))
        assert await bench.venue() == fresh
        assert bench.callees.get("catalog").answered_stale == 1
        bench.clock.advance(timedelta(seconds=2))
        with pytest.raises(grpc.aio.AioRpcError):
            await bench.venue()


async def test_a_price_of_before_is_given_to_nobody() -> None:
    async with calling() as bench:
        request = catalog_pb2.GetMenuItemRequest(menu_item_id=ITEM)
        await bench.stub.GetMenuItem(request, timeout=5)
        bench.catalog.error = AWAY
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await bench.stub.GetMenuItem(request, timeout=5)
        assert refused.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_what_a_caller_does_with_an_answer_is_not_seen_by_the_next() -> None:
    async with calling() as bench:
        await bench.venue()
        bench.catalog.error = AWAY
        (await bench.venue()).name = "mine"
        assert (await bench.venue()).name == "Corner"


async def test_another_venue_is_not_known() -> None:
    async with calling() as bench:
        await bench.venue()
        bench.catalog.error = AWAY
        with pytest.raises(grpc.aio.AioRpcError):
            await bench.venue(str(uuid.uuid4()))


async def test_prices_at_checkout_are_never_old_ones() -> None:
    async with calling() as bench:
        request = catalog_pb2.BatchGetMenuItemsRequest(menu_item_ids=[ITEM])
        await bench.stub.BatchGetMenuItems(request, timeout=5)
        bench.catalog.error = AWAY
        with pytest.raises(grpc.aio.AioRpcError):
            await bench.stub.BatchGetMenuItems(request, timeout=5)


async def test_a_service_that_answers_is_believed_whatever_it_says() -> None:
    async with calling() as bench:
        await bench.venue()
        bench.catalog.error = errors.NotFound("VENUE_NOT_FOUND", "Gone.")
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await bench.venue()
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


async def test_an_answer_is_given_while_the_breaker_is_open_too() -> None:
    policy = CallPolicy(attempts=1, breaker=BreakerPolicy(consecutive_failures=1))
    async with calling(policy) as bench:
        await bench.venue()
        bench.catalog.error = AWAY
        for _ in range(5):
            assert (await bench.venue()).name == "Corner"
        assert bench.callees.get("catalog").refused == {"breaker": 4}
        with pytest.raises(Unavailable):
            await bench.venue(str(uuid.uuid4()))


async def test_a_call_with_a_token_of_its_makers_own_gets_no_earlier_answer() -> None:
    async with calling() as bench:
        await bench.venue()
        bench.catalog.error = AWAY
        with pytest.raises(grpc.aio.AioRpcError):
            await bench.venue(metadata=(("authorization", "Bearer x"),))
