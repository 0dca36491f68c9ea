"""The catalog behind its real server and interceptors."""

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from chassis.testing import PostgresServer
from chassis.testing.service import Metadata, ServiceUnderTest, TokenSigner, serve
from greenledger.catalog.v1.catalog_pb2_grpc import CatalogServiceStub
from interceptors.testing import SignedChain
from services.catalog.wiring import wire

ANN, BOB = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"
WRITE = ("catalog.venues.write", "catalog.menu.write")


@pytest_asyncio.fixture
async def service(postgres_server: PostgresServer) -> AsyncIterator[ServiceUnderTest]:
    signer = TokenSigner()
    async with (
        postgres_server.database("catalog") as dsn,
        serve("catalog", wire, SignedChain(signer), dsn, signer) as running,
    ):
        yield running


@pytest.fixture
def stub(service: ServiceUnderTest) -> CatalogServiceStub:
    return CatalogServiceStub(service.channel)


@pytest.fixture
def ann(service: ServiceUnderTest) -> Metadata:
    return service.signer.user(ANN, *WRITE)


@pytest.fixture
def bob(service: ServiceUnderTest) -> Metadata:
    return service.signer.user(BOB, *WRITE)
