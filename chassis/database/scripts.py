"""Lets `op.execute` run a whole SQL script through asyncpg."""

from collections.abc import Mapping, Sequence
from typing import Any

from alembic.ddl.postgresql import PostgresqlImpl
from sqlalchemy.util import await_only


class ScriptImpl(PostgresqlImpl):
    """Alembic's PostgreSQL dialect, except that plain text goes to the driver as it is.

    SQLAlchemy prepares each text as one statement and reads `:name` as a parameter; the chassis' DDL
    is several statements with PL/pgSQL bodies.
    """

    __dialect__ = "postgresql"

    def _exec(
        self,
        construct: Any,
        execution_options: Mapping[str, Any] | None = None,
        multiparams: Sequence[Mapping[str, Any]] | None = None,
        params: Mapping[str, Any] | None = None,
    ) -> Any:
        if not isinstance(construct, str) or params or multiparams or self.as_sql:
            return super()._exec(construct, execution_options, multiparams, params or {})
        connection = self.connection
        assert connection is not None
        # SQLAlchemy begins its transaction at the first statement that it runs by itself.
        connection.exec_driver_sql("SELECT 1")
        driver: Any = connection.connection.driver_connection
        await_only(driver.execute(construct))
        return None
