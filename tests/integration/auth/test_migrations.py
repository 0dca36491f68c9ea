"""The schema goes forwards and backwards."""

import pytest

from chassis.database import Database
from chassis.database.migrations import current, downgrade, upgrade

LEFT = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'S')"


@pytest.mark.parametrize("service", ["auth", "users"])
async def test_the_schema_goes_up_twice_and_down_to_nothing(database: Database, service: str):
    first = await upgrade(database.dsn, service)
    assert await upgrade(database.dsn, service) == first == await current(database.dsn, service)
    await downgrade(database.dsn, service, "base")
    assert await database.fetchval(LEFT + " AND relname <> 'alembic_version'") == 0
    assert await upgrade(database.dsn, service) == first
