"""Repeated requests over the wire, with the answers in a real PostgreSQL."""

import asyncio
import uuid
from typing import Any

import grpc
import pytest
import pytest_asyncio

from chassis.clock import SystemClock
from chassis.database import Database
from chassis.errors import FailedPrecondition
from chassis.idempotency import CREATE_V1, IdempotencyStore
from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from tests.integration.interceptors.harness import CATALOG, Server, reason, serve


class Catalog(catalog_pb2_grpc.CatalogServiceServicer):
    """Opens venues as rows."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.fail: Exception | None = None
        self.gate: asyncio.Event | None = None
        self.entered = 0

    async def CreateVenue(self, request: Any, context: Any) -> Any:
        self.entered += 1
        venue_id = str(uuid.uuid4())
        async with self._database.transaction() as tx:
            await tx.execute("INSERT INTO venue VALUES ($1, $2)", venue_id, request.name)
        if self.gate is not None:
            await self.gate.wait()
        if self.fail is not None:
            raise self.fail
        return catalog_pb2.Venue(venue_id=venue_id, name=request.name)


@pytest_asyncio.fixture
async def store(database: Database) -> IdempotencyStore:
    await database.execute(CREATE_V1 + "CREATE TABLE venue (venue_id text PRIMARY KEY, name text);")
    return IdempotencyStore(database, SystemClock())


def request(request_id: str, name: str = "Mill") -> catalog_pb2.CreateVenueRequest:
    address = catalog_pb2.Address(city="Ghent", country_code="BE")
    return catalog_pb2.CreateVenueRequest(request_id=request_id, name=name, address=address)


async def venues(database: Database) -> int:
    return int(await database.fetchval("SELECT count(*) FROM venue"))


async def test_a_repeated_request_gets_the_first_answer_and_has_one_effect(
    database: Database, store: IdempotencyStore
) -> None:
    catalog, one = Catalog(database), request(str(uuid.uuid4()))
    async with serve((CATALOG, catalog), idempotency=store) as server:
        first = await server.catalog.CreateVenue(one, metadata=server.authorized())
        second = await server.catalog.CreateVenue(one, metadata=server.authorized())
    assert first == second
    assert first.venue_id
    assert (await venues(database), catalog.entered) == (1, 1)


async def test_the_same_id_for_another_request_is_refused(
    database: Database, store: IdempotencyStore
) -> None:
    request_id = str(uuid.uuid4())
    async with serve((CATALOG, Catalog(database)), idempotency=store) as server:
        await server.catalog.CreateVenue(request(request_id), metadata=server.authorized())
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await server.catalog.CreateVenue(request(request_id, "Other"), metadata=server.authorized())
    assert caught.value.code() is grpc.StatusCode.ALREADY_EXISTS
    assert reason(caught.value) == "REQUEST_ID_REUSED"
    assert await venues(database) == 1


async def test_the_same_id_of_another_caller_is_another_request(
    database: Database, store: IdempotencyStore
) -> None:
    one = request(str(uuid.uuid4()))
    async with serve((CATALOG, Catalog(database)), idempotency=store) as server:
        first = await server.catalog.CreateVenue(one, metadata=server.authorized(sub="ann"))
        second = await server.catalog.CreateVenue(one, metadata=server.authorized(sub="bob"))
    assert first.venue_id != second.venue_id


@pytest.mark.parametrize("error", [FailedPrecondition("CLOSED", "Closed."), ValueError("boom")])
async def test_a_failed_attempt_leaves_nothing_and_may_be_repeated(
    database: Database, store: IdempotencyStore, error: Exception
) -> None:
    catalog, one = Catalog(database), request(str(uuid.uuid4()))
    catalog.fail = error
    async with serve((CATALOG, catalog), idempotency=store) as server:
        with pytest.raises(grpc.aio.AioRpcError):
            await server.catalog.CreateVenue(one, metadata=server.authorized())
        assert await venues(database) == 0
        catalog.fail = None
        answer = await server.catalog.CreateVenue(one, metadata=server.authorized())
    assert answer.name == "Mill"
    assert await venues(database) == 1


async def test_concurrent_duplicates_wait_for_the_first_and_get_its_answer(
    database: Database, store: IdempotencyStore
) -> None:
    catalog, one = Catalog(database), request(str(uuid.uuid4()))
    catalog.gate = asyncio.Event()
    async with serve((CATALOG, catalog), idempotency=store) as server:
        calls = [create(server, one) for _ in range(5)]
        done, _ = await asyncio.wait(calls, timeout=0.3)
        assert not done
        catalog.gate.set()
        answers = await asyncio.gather(*calls)
    assert len({answer.venue_id for answer in answers}) == 1
    assert (await venues(database), catalog.entered) == (1, 1)


async def test_a_duplicate_runs_itself_when_the_first_fails(
    database: Database, store: IdempotencyStore
) -> None:
    catalog, one = Catalog(database), request(str(uuid.uuid4()))
    catalog.gate, catalog.fail = asyncio.Event(), FailedPrecondition("CLOSED", "Closed.")
    async with serve((CATALOG, catalog), idempotency=store) as server:
        calls = [create(server, one) for _ in range(2)]
        await asyncio.wait(calls, timeout=0.2)
        assert catalog.entered == 1
        catalog.gate.set()
        answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(answer, grpc.aio.AioRpcError) for answer in answers)
    assert (await venues(database), catalog.entered) == (0, 2)


async def test_a_client_that_leaves_before_the_answer_leaves_nothing(
    database: Database, store: IdempotencyStore
) -> None:
    catalog, one = Catalog(database), request(str(uuid.uuid4()))
    catalog.gate = asyncio.Event()
    async with serve((CATALOG, catalog), idempotency=store) as server:
        with pytest.raises(grpc.aio.AioRpcError):
            await server.catalog.CreateVenue(one, metadata=server.authorized(), timeout=0.3)
        catalog.gate.set()
        answer = await server.catalog.CreateVenue(one, metadata=server.authorized())
    assert await database.fetchval("SELECT venue_id FROM venue") == answer.venue_id


async def test_a_service_without_a_store_refuses_the_method_instead_of_breaking_the_promise() -> None:
    class Never(catalog_pb2_grpc.CatalogServiceServicer):
        async def CreateVenue(self, request: Any, context: Any) -> Any:
            raise AssertionError("must not run")

    async with serve((CATALOG, Never())) as server:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await create(server, request(str(uuid.uuid4())))
    assert caught.value.code() is grpc.StatusCode.INTERNAL


async def test_a_database_that_is_away_is_unavailable(database: Database, store: IdempotencyStore) -> None:
    async with serve((CATALOG, Catalog(database)), idempotency=store) as server:
        await database.close()
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await create(server, request(str(uuid.uuid4())))
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


def create(server: Server, one: Any) -> "asyncio.Task[Any]":
    async def call() -> Any:
        return await server.catalog.CreateVenue(one, metadata=server.authorized())

    return asyncio.ensure_future(call())
