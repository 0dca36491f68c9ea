"""One database per service: created, migrated forwards and backwards, left alone when at head."""

from collections.abc import AsyncIterator
from pathlib import Path

import asyncpg
import pytest
import pytest_asyncio

from fleet.component import Runner
from fleet.databases import applied_revisions, go_to, prepare_databases
from fleet.errors import FleetError
from fleet.servers.postgres import Postgres
from fleet.services import ServiceSpec
from fleet.settings import FleetSettings

pytestmark = pytest.mark.slow
SPECS = (ServiceSpec("grower"), ServiceSpec("venue"), ServiceSpec("edge", database=False))


def write_migration(root: Path, service: str, revision: str, after: str | None, up: str, down: str) -> None:
    folder = root / "services" / service / "migrations" / "versions"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{revision}.py").write_text(
        "from alembic import op\n"
        f"revision = {revision!r}\ndown_revision = {after!r}\n"
        f"def upgrade():\n    op.execute({up!r})\n"
        f"def downgrade():\n    op.execute({down!r})\n"
    )


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for service in ("grower", "venue"):
        write_migration(tmp_path, service, "0001", None, "CREATE TABLE lot (code text)", "DROP TABLE lot")
        write_migration(
            tmp_path, service, "0002", "0001", "ALTER TABLE lot ADD unit text", "ALTER TABLE lot DROP unit"
        )
    return tmp_path


@pytest_asyncio.fixture
async def postgres(settings: FleetSettings) -> AsyncIterator[Postgres]:
    server = Postgres(settings, "password")
    runner = Runner(server)
    await runner.start()
    yield server
    await runner.stop(10)


async def test_each_service_gets_its_own_database_at_its_newest_revision(
    postgres: Postgres, project: Path
) -> None:
    assert await prepare_databases(postgres, SPECS, project) == ["grower", "venue"]
    for service in ("grower", "venue"):
        connection = await asyncpg.connect(postgres.service_dsn(service))
        await connection.execute("INSERT INTO lot (code, unit) VALUES ('tomatoes', 'KGM')")
        await connection.close()


async def test_a_second_run_changes_nothing_and_does_not_even_read_the_scripts(
    postgres: Postgres, project: Path
) -> None:
    await prepare_databases(postgres, SPECS, project)
    for service in ("grower", "venue"):
        script = project / "services" / service / "migrations" / "versions" / "0002.py"
        script.write_text("revision = '0002'\ndown_revision = '0001'\nraise RuntimeError('was imported')\n")
    assert await prepare_databases(postgres, SPECS, project) == []


async def test_only_the_database_that_is_behind_is_migrated(postgres: Postgres, project: Path) -> None:
    await prepare_databases(postgres, SPECS, project)
    write_migration(project, "venue", "0003", "0002", "CREATE TABLE dish ()", "DROP TABLE dish")
    assert await prepare_databases(postgres, SPECS, project) == ["venue"]
    assert await applied_revisions(postgres.service_dsn("venue")) == {"0003"}


async def test_a_failed_migration_names_its_service_and_leaves_nothing_behind(
    postgres: Postgres, project: Path
) -> None:
    write_migration(project, "venue", "0003", "0002", "CREATE TABLE dish (); SELECT 1/0", "DROP TABLE dish")
    with pytest.raises(FleetError, match=r"The database of venue could not be migrated \(.*division by zero"):
        await prepare_databases(postgres, SPECS, project)
    connection = await asyncpg.connect(postgres.service_dsn("venue"))
    assert await connection.fetchval("SELECT to_regclass('dish')") is None
    await connection.close()


async def test_a_database_goes_back_and_forth_between_revisions(postgres: Postgres, project: Path) -> None:
    dsn = postgres.service_dsn("grower")
    for revision, applied in (("0001", {"0001"}), ("0002", {"0002"}), ("0001", {"0001"}), ("base", set())):
        await go_to(postgres, "grower", revision, project)
        assert await applied_revisions(dsn) == applied


async def test_an_unknown_revision_is_refused_with_those_that_exist(
    postgres: Postgres, project: Path
) -> None:
    with pytest.raises(FleetError, match="grower has no revision '0009': choose from 0001, 0002, or base"):
        await go_to(postgres, "grower", "0009", project)
