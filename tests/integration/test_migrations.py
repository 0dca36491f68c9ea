"""The schema of every service goes forwards, backwards and forwards again, and leaves nothing behind."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from chassis.database import Database
from chassis.database.migrations import current, downgrade, upgrade

SERVICES = sorted(
    folder.parents[1].name for folder in Path(__file__).parents[2].glob("services/*/migrations/versions")
)
# Tables, indexes, sequences and views; functions; types: all that a migration could leave behind.
_OBJECTS = """
    SELECT relkind::text || ' ' || relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'alembic_version%'
    UNION SELECT 'function ' || proname || '(' || pg_get_function_identity_arguments(oid) || ')' FROM pg_proc
    WHERE pronamespace = 'public'::regnamespace
    UNION SELECT 'type ' || typname FROM pg_type
    WHERE typnamespace = 'public'::regnamespace AND typname NOT LIKE '%alembic_version'
    UNION SELECT 'schema ' || nspname FROM pg_namespace
    WHERE nspname NOT LIKE 'pg\\_%' AND nspname NOT IN ('public', 'information_schema')
    ORDER BY 1
"""
_DEFINITIONS = """
    SELECT table_name || '.' || column_name || ' ' || data_type || ' ' || is_nullable
    FROM information_schema.columns WHERE table_schema = 'public' ORDER BY 1
"""


async def column(database: Database, statement: str) -> Sequence[str]:
    return [row[0] for row in await database.fetch(statement)]


@pytest.mark.parametrize("service", SERVICES)
async def test_migrations_go_forwards_and_backwards(service: str, database_dsn: str, database: Database):
    reached = await upgrade(database_dsn, service)
    made, defined = await column(database, _OBJECTS), await column(database, _DEFINITIONS)
    assert reached is not None
    assert len(made) > 3

    assert await upgrade(database_dsn, service) == reached
    assert await column(database, _OBJECTS) == made

    await downgrade(database_dsn, service, "base")
    assert await current(database_dsn, service) is None
    assert await column(database, _OBJECTS) == []

    assert await upgrade(database_dsn, service) == reached
    assert (await column(database, _OBJECTS), await column(database, _DEFINITIONS)) == (made, defined)


def test_every_service_has_migrations():
    wired = {path.parent.name for path in Path(__file__).parents[2].glob("services/*/wiring.py")}
    assert set(SERVICES) == wired
