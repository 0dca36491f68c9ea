"""Migrations, on a small service made up here."""

import asyncio
from pathlib import Path

import pytest

from chassis.database import Database
from chassis.database.migrations import current, downgrade, ensure_database, upgrade
from chassis.errors import Unavailable
from chassis.testing import PostgresServer

FIRST = '''
"""First."""
from alembic import op
from chassis.schema import EVENT_STORE_V1, EVENT_STORE_V1_DROP, PROJECTION_V1, PROJECTION_V1_DROP
revision, down_revision = "0001", None
def upgrade() -> None:
    op.execute(EVENT_STORE_V1)
    op.execute(PROJECTION_V1)
    op.execute("CREATE TABLE lot (id text PRIMARY KEY, note text DEFAULT 'at 10:30')")
def downgrade() -> None:
    op.execute("DROP TABLE lot")
    op.execute(PROJECTION_V1_DROP)
    op.execute(EVENT_STORE_V1_DROP)
'''
SECOND = '''
"""Second."""
import sqlalchemy as sa
from alembic import op
revision, down_revision = "0002", "0001"
def upgrade() -> None:
    op.add_column("lot", sa.Column("weight", sa.Numeric()))
def downgrade() -> None:
    op.drop_column("lot", "weight")
'''
BROKEN = '''
"""Broken halfway."""
from alembic import op
revision, down_revision = "0003", "0002"
def upgrade() -> None:
    op.execute("CREATE TABLE half (); SELECT 1/0")
def downgrade() -> None:
    op.execute("DROP TABLE half")
'''


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    (tmp_path / "0001_first.py").write_text(FIRST)
    (tmp_path / "0002_second.py").write_text(SECOND)
    return tmp_path


async def catalogue(database: Database) -> list[str]:
    rows = await database.fetch(
        """
        SELECT table_name || '.' || column_name AS item FROM information_schema.columns
        WHERE table_schema = 'public' AND table_name <> 'alembic_version'
        UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
        UNION ALL SELECT sequencename FROM pg_sequences ORDER BY 1
        """
    )
    return [row["item"] for row in rows]


async def test_an_empty_database_is_brought_to_the_newest_revision(
    database: Database, versions: Path
) -> None:
    assert await current(database.dsn, versions) is None
    assert await upgrade(database.dsn, versions) == "0002"
    assert {"event.position", "event_append", "lot.weight"} <= set(await catalogue(database))


async def test_a_second_run_changes_nothing(database: Database, versions: Path) -> None:
    await upgrade(database.dsn, versions)
    await database.execute("INSERT INTO lot (id, weight) VALUES ('kept', 1)")
    before = await catalogue(database)
    assert await upgrade(database.dsn, versions) == "0002"
    assert await catalogue(database) == before
    assert await database.fetchval("SELECT count(*) FROM lot") == 1


async def test_every_step_goes_back_to_where_it_came_from(database: Database, versions: Path) -> None:
    states = [await catalogue(database)]
    for revision in ("0001", "0002"):
        await upgrade(database.dsn, versions, revision)
        states.append(await catalogue(database))
    assert await downgrade(database.dsn, versions, "-1") == "0001"
    assert await catalogue(database) == states[1]
    assert await downgrade(database.dsn, versions, "base") is None
    assert await catalogue(database) == states[0] == []
    assert await upgrade(database.dsn, versions) == "0002"
    assert await catalogue(database) == states[2]


async def test_a_migration_that_fails_leaves_nothing_of_itself(database: Database, versions: Path) -> None:
    (versions / "0003_broken.py").write_text(BROKEN)
    with pytest.raises(Exception, match="division by zero"):
        await upgrade(database.dsn, versions)
    assert await current(database.dsn, versions) == "0002"
    assert await database.fetchval("SELECT to_regclass('half')") is None


async def test_replicas_that_migrate_at_once_take_turns(database: Database, versions: Path) -> None:
    reached = await asyncio.gather(*(upgrade(database.dsn, versions) for _ in range(4)))
    assert reached == ["0002"] * 4


async def test_a_database_is_created_once(postgres_server: PostgresServer) -> None:
    created = await asyncio.gather(
        *(ensure_database(postgres_server.admin_dsn, "made-here") for _ in range(3))
    )
    assert sorted(created) == [False, False, True]
    await postgres_server.drop_database(postgres_server.dsn("made-here"))


async def test_a_service_without_migrations_is_named(database: Database, tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        await upgrade(database.dsn, tmp_path / "nowhere")


async def test_an_unreachable_database_is_unavailable(versions: Path) -> None:
    with pytest.raises(Unavailable):
        await upgrade("postgresql://nobody@127.0.0.1:1/none", versions)
