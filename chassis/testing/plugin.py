"""pytest fixtures for PostgreSQL; register with `pytest_plugins = ["chassis.testing.plugin"]`."""

import logging
from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio
import structlog

from chassis import crashpoints
from chassis.database import Database
from chassis.testing.postgres import PostgresServer


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """One server for the whole session; tests that stop it make their own."""
    server = PostgresServer(in_memory=True)
    try:
        server.start()
        yield server
    finally:
        server.stop()


@pytest_asyncio.fixture
async def database_dsn(postgres_server: PostgresServer) -> AsyncIterator[str]:
    """URL of an empty database that lives as long as the test."""
    async with postgres_server.database() as dsn:
        yield dsn


@pytest_asyncio.fixture
async def database(database_dsn: str) -> AsyncIterator[Database]:
    """A pool on an empty database; create what you need with `await database.execute(..._V1)`."""
    database = await Database.connect(database_dsn)
    yield database
    database.terminate()


@pytest.fixture(autouse=True)
def _plain_tracebacks() -> None:
    # What structlog does unasked draws each frame with all its values: seconds in which the event loop of a
    # test that loses its database on purpose stands still.
    if not structlog.is_configured():
        renderer = structlog.dev.ConsoleRenderer(
            colors=False, exception_formatter=structlog.dev.plain_traceback
        )
        structlog.configure(processors=[structlog.processors.add_log_level, renderer])


@pytest.fixture(autouse=True)
def _logging_is_as_before() -> Iterator[None]:
    # Else a later test may stand still for good: garbage that is collected while a line is written can end a
    # channel, for which gRPC takes its lock, which another thread holds that waits to write a line at DEBUG.
    root = logging.getLogger()
    level = root.level
    yield
    assert root.level == level, "changed for all later tests too; use chassis.testing.logged"


@pytest.fixture(autouse=True)
def _no_crash_point_survives_its_test() -> Iterator[None]:
    yield
    crashpoints.disarm()
