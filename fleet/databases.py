"""One database per service: made and migrated in the shortest way that is right."""

import ast
import asyncio
import contextlib
import importlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType

import asyncpg

from fleet.errors import FleetError
from fleet.servers.postgres import Postgres, database_name
from fleet.services import ServiceSpec


async def prepare_databases(
    postgres: Postgres,
    specs: Sequence[ServiceSpec],
    project_root: Path,
    *,
    say: Callable[[str], None] = lambda _: None,
) -> list[str]:
    """Create the missing databases and migrate those that are behind.

    A database that is at its head already costs one query; Alembic is imported only when needed.

    Args:
        postgres: the running server.
        specs: services whose databases are wanted.
        project_root: folder that holds `services/`.
        say: takes one line of progress.

    Returns:
        Names of the services whose database was created or migrated.

    Raises:
        FleetError: a migration failed.
    """
    owners = [spec.name for spec in specs if spec.database]
    existing = await _existing_databases(postgres.admin_dsn)
    missing = [name for name in owners if database_name(name) not in existing]
    if missing:
        say(f"Creating {len(missing)} databases.")
        await asyncio.gather(*(_create(postgres, name) for name in missing))
    behind = await _behind(postgres, owners, project_root)
    if behind:
        say(f"Migrating {', '.join(behind)}.")
        await _upgrade(postgres, behind, project_root)
    return [name for name in owners if name in missing or name in behind]


async def go_to(postgres: Postgres, service: str, revision: str, project_root: Path) -> None:
    """Bring one service's database to a given revision, forwards or backwards.

    Args:
        revision: a revision of that service's scripts, or `base` for an empty database.

    Raises:
        FleetError: the revision is unknown or the migration failed.
    """
    parents = revision_parents(project_root, service)
    if revision != "base" and revision not in parents:
        known = ", ".join(parents) or "none"
        raise FleetError(f"{service} has no revision {revision!r}: choose from {known}, or base.")
    dsn = postgres.service_dsn(service)
    if database_name(service) not in await _existing_databases(postgres.admin_dsn):
        await _create(postgres, service)
    applied = await applied_revisions(dsn)
    if revision in applied or (revision == "base" and not applied):
        return
    backwards = revision == "base" or revision in _ancestors(parents, applied)
    change = _migrations().downgrade if backwards else _migrations().upgrade
    with _failures_as_sentences(service):
        await change(dsn, _versions(project_root, service), revision)


def revision_parents(project_root: Path, service: str) -> dict[str, tuple[str, ...]]:
    """Each revision of a service's migrations with those it follows, read without running the scripts."""
    parents: dict[str, tuple[str, ...]] = {}
    for script in sorted(_versions(project_root, service).glob("*.py")):
        names = _assigned_constants(script)
        if isinstance(revision := names.get("revision"), str):
            down = names.get("down_revision")
            parents[revision] = down if isinstance(down, tuple) else (down,) if isinstance(down, str) else ()
    return parents


def head_revisions(project_root: Path, service: str) -> set[str]:
    """Newest revisions of a service's migrations; empty when it has none."""
    parents = revision_parents(project_root, service)
    return set(parents) - {revision for followed in parents.values() for revision in followed}


async def applied_revisions(dsn: str) -> set[str]:
    """Revisions recorded in a database; empty for a new one."""
    connection = await asyncpg.connect(dsn)
    try:
        rows = await connection.fetch("SELECT version_num FROM alembic_version")
    except asyncpg.UndefinedTableError:
        return set()
    finally:
        await connection.close()
    return {row["version_num"] for row in rows}


def _migrations() -> ModuleType:
    # Imported on first use: a fleet that is at head never needs SQLAlchemy and Alembic.
    return importlib.import_module("chassis.database.migrations")


def _versions(project_root: Path, service: str) -> Path:
    return project_root / "services" / service / "migrations" / "versions"


async def _existing_databases(admin_dsn: str) -> set[str]:
    connection = await asyncpg.connect(admin_dsn)
    try:
        rows = await connection.fetch("SELECT datname FROM pg_database")
    finally:
        await connection.close()
    return {row["datname"] for row in rows}


async def _create(postgres: Postgres, service: str) -> None:
    await _migrations().ensure_database(postgres.admin_dsn, database_name(service))


async def _behind(postgres: Postgres, services: Sequence[str], project_root: Path) -> list[str]:
    wanted = {name: head_revisions(project_root, name) for name in services}
    names = [name for name, heads in wanted.items() if heads]
    applied = await asyncio.gather(*(applied_revisions(postgres.service_dsn(name)) for name in names))
    return [name for name, revisions in zip(names, applied, strict=True) if revisions != wanted[name]]


async def _upgrade(postgres: Postgres, services: Sequence[str], project_root: Path) -> None:
    # One after the other: Alembic keeps the running migration in module globals.
    for service in services:
        with _failures_as_sentences(service):
            await _migrations().upgrade(postgres.service_dsn(service), _versions(project_root, service))


@contextlib.contextmanager
def _failures_as_sentences(service: str) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise FleetError(
            f"The database of {service} could not be migrated ({type(error).__name__}: {error}): correct "
            f"services/{service}/migrations, then start again; a failed migration leaves nothing behind."
        ) from error


def _ancestors(parents: Mapping[str, tuple[str, ...]], revisions: set[str]) -> set[str]:
    found: set[str] = set()
    open_ends = list(revisions)
    while open_ends:
        for parent in parents.get(open_ends.pop(), ()):
            if parent not in found:
                found.add(parent)
                open_ends.append(parent)
    return found


def _assigned_constants(script: Path) -> dict[str, object]:
    constants: dict[str, object] = {}
    for node in ast.parse(script.read_text()).body:
        targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
        value = getattr(node, "value", None)
        for target in targets:
            if isinstance(target, ast.Name) and target.id in ("revision", "down_revision") and value:
                constants[target.id] = ast.literal_eval(value)
    return constants
