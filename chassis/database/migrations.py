"""Schema migrations of one service's database, forwards and backwards."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import asyncpg
from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from chassis.database.errors import DRIVER_ERRORS, translate

_ROOT = Path(__file__).resolve().parents[2]
# Replicas that start together migrate one after the other.
_LOCK = "SELECT pg_advisory_lock(hashtextextended('greenledger migrations', 0))"


async def upgrade(dsn: str, service: str | Path, revision: str = "head") -> str | None:
    """Bring a database to a revision; running it again changes nothing.

    Args:
        dsn: libpq URL of the service's database.
        service: name of the service (`services/<name>/migrations/versions`), or such a folder.
        revision: where to; default the newest.

    Returns:
        The revision reached; None when the service has none.

    Raises:
        Unavailable: nobody answers at the DSN.
    """
    return await _migrate(dsn, lambda config: command.upgrade(config, revision), service)


async def downgrade(dsn: str, service: str | Path, revision: str) -> str | None:
    """Take a database back to a revision (`base` for empty, `-1` for one step); arguments as `upgrade`."""
    return await _migrate(dsn, lambda config: command.downgrade(config, revision), service)


async def current(dsn: str, service: str | Path) -> str | None:
    """The revision of a database; None when it is empty."""
    return await _migrate(dsn, None, service)


async def ensure_database(admin_dsn: str, name: str) -> bool:
    """Create a database unless it is there.

    Args:
        admin_dsn: URL of any database of the server, as a user who may create databases.
        name: of the database.

    Returns:
        Whether it was created now.
    """
    try:
        connection = await asyncpg.connect(admin_dsn)
    except DRIVER_ERRORS as error:
        raise translate(error) from error
    try:
        if await connection.fetchval("SELECT true FROM pg_database WHERE datname = $1", name):
            return False
        quoted = name.replace('"', '""')
        await connection.execute(f'CREATE DATABASE "{quoted}"')
    except (asyncpg.DuplicateDatabaseError, asyncpg.UniqueViolationError):
        return False  # another process was quicker
    finally:
        await connection.close()
    return True


def versions_folder(service: str | Path) -> Path:
    """Where the migrations of a service lie.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    folder = (
        service if isinstance(service, Path) else _ROOT / "services" / service / "migrations" / "versions"
    )
    if not folder.is_dir():
        raise FileNotFoundError(f"no migrations at {folder}")
    return folder


def alembic_config(service: str | Path) -> Config:
    """The configuration that an ini file would hold."""
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "alembic").replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", str(versions_folder(service)).replace("%", "%%"))
    return config


async def _migrate(dsn: str, action: Callable[[Config], object] | None, service: str | Path) -> str | None:
    config = alembic_config(service)

    async def connect() -> Any:
        return await asyncpg.connect(dsn)

    # The driver reads the DSN itself, so that it means here what it means at run time.
    engine = create_async_engine("postgresql+asyncpg://", async_creator=connect, poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await connection.exec_driver_sql(_LOCK)
            await connection.commit()
            return await connection.run_sync(_act, config, action)
    except DRIVER_ERRORS as error:
        raise translate(error) from error
    finally:
        await engine.dispose()


def _act(connection: Connection, config: Config, action: Callable[[Config], object] | None) -> str | None:
    config.attributes["connection"] = connection
    if action is not None:
        action(config)
    revision = MigrationContext.configure(connection).get_current_revision()
    connection.commit()
    return revision
