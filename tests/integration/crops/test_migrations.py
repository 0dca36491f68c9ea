"""The schema goes forwards, backwards and stays when nothing is to do."""

from chassis.database import Database
from chassis.database.migrations import current, downgrade, upgrade

_TABLES = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public' AND tablename <> 'alembic_version'"


async def test_migrations_run_forwards_and_backwards(database_dsn: str, database: Database) -> None:
    assert await upgrade(database_dsn, "crops") == await upgrade(database_dsn, "crops") == "0007"
    assert await database.fetchval(_TABLES) > 10
    await downgrade(database_dsn, "crops", "base")
    assert await current(database_dsn, "crops") is None
    assert await database.fetchval(_TABLES) == 0
    assert await upgrade(database_dsn, "crops") == "0007"
