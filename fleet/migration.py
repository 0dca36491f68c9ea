"""Migrating by hand: with the running fleet's PostgreSQL, or one started for the moment."""

import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

from fleet.component import Runner
from fleet.databases import applied_revisions, go_to, prepare_databases
from fleet.ports import require_free_ports
from fleet.secrets import ensure_secrets
from fleet.servers.postgres import Postgres
from fleet.services import SERVICES, ServiceSpec, select
from fleet.settings import FleetSettings
from fleet.state import end_leftovers, exclusive, read_record, running_supervisor


async def migrate_databases(
    settings: FleetSettings,
    service: str | None = None,
    to: str | None = None,
    *,
    services: Sequence[ServiceSpec] = SERVICES,
) -> dict[str, set[str]]:
    """Bring the databases to their newest revision, or one of them to `to`.

    Returns:
        The revisions of each service's database afterwards; an empty set for none.

    Raises:
        FleetError: an unknown service or revision, or a migration that failed.
    """
    chosen = [spec for spec in select(services, [service] if service else []) if spec.database]
    settings.make_folders()
    async with _running_postgres(settings) as postgres:
        if service is not None and to is not None:
            await go_to(postgres, service, to, settings.project_root)
        else:
            await prepare_databases(postgres, chosen, settings.project_root)
        return {spec.name: await applied_revisions(postgres.service_dsn(spec.name)) for spec in chosen}


@contextlib.asynccontextmanager
async def _running_postgres(settings: FleetSettings) -> AsyncIterator[Postgres]:
    record = read_record(settings)
    password = ensure_secrets(settings.secrets_dir, []).postgres_password
    if running_supervisor(settings) is not None and record is not None:
        yield Postgres(replace(settings, edge_port=record.edge_port), password)
        return
    with exclusive(settings):
        end_leftovers(settings)
        postgres = Postgres(settings, password)
        require_free_ports([postgres], settings)
        runner = Runner(postgres)
        await runner.start()
        try:
            yield postgres
        finally:
            await runner.stop(postgres.stop_grace_s)
