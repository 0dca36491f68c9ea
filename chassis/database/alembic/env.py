"""Alembic's entry point; runs only under `chassis.database.migrations`, on the connection given there."""

from alembic import context
from sqlalchemy import Connection

from chassis.database.scripts import ScriptImpl

_ = ScriptImpl  # importing it registers it


def _run() -> None:
    connection = context.config.attributes.get("connection")
    if not isinstance(connection, Connection):
        raise RuntimeError("run migrations by `greenledger migrate` or chassis.database.migrations")
    context.configure(connection=connection, target_metadata=None, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()


_run()
