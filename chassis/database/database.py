"""A service's database: its pool and the ambient transaction."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Self

import asyncpg

from chassis.database import transaction as transactions
from chassis.database.errors import DRIVER_ERRORS, translate
from chassis.database.pool import Connection, Pool, connect
from chassis.database.transaction import Transaction

_CONNECT_S = 5.0
_COMMAND_S = 30.0


class Database:
    """One PostgreSQL database of one service.

    Statements run on the transaction of the current task when there is one, else alone on a pooled
    connection. jsonb travels as text, as asyncpg has it. Use `asyncio.timeout`, not `wait_for`,
    around code that must stay in its transaction: `wait_for` makes a new task.
    """

    def __init__(self, pool: Pool, dsn: str) -> None:
        self._pool = pool
        self.dsn = dsn

    @classmethod
    async def connect(cls, dsn: str, pool_size: int = 8, *, application_name: str = "greenledger") -> Self:
        """Open the pool, with one connection to begin with.

        Args:
            dsn: libpq URL, `postgresql://user@host:port/name`.
            pool_size: most connections; default 8 (more cost throughput on few cores).
            application_name: shown in pg_stat_activity; default `greenledger`.

        Raises:
            Unavailable: nobody answers at the DSN.
        """
        database = cls.later(dsn, pool_size, application_name=application_name)
        database._pool.release(await database._acquire())
        return database

    @classmethod
    def later(cls, dsn: str, pool_size: int = 8, *, application_name: str = "greenledger") -> Self:
        """A pool that opens its first connection for the first statement; arguments as for `connect`.

        For who has something to do without a database: until it answers, every statement is Unavailable.
        """
        settings = {
            "application_name": application_name,
            "jit": "off",
            "timezone": "UTC",
            # A process that stands still, or whose machine vanished, must not hold its locks, and with them
            # the watermark, for longer than others go on asking.
            "idle_in_transaction_session_timeout": "10s",
        }

        open_one = partial(connect, dsn, timeout_s=_CONNECT_S, command_timeout_s=_COMMAND_S, **settings)
        return cls(Pool(open_one, pool_size), dsn)

    async def close(self) -> None:
        """Close the pool once every connection is back."""
        await self._pool.close()

    def terminate(self) -> None:
        """Drop every connection at once; for the end of a process that could not drain."""
        self._pool.terminate()

    def ambient(self) -> Transaction | None:
        """The transaction that the running task has open on this database, if any."""
        return transactions.ambient(self)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Transaction]:
        """Join the running transaction of this task, or run one: commit at the end, roll back on error.

        Nothing is retried. A joined scope that fails forbids the commit of the whole, unless
        `Transaction.savepoint` holds it.

        Raises:
            Aborted: deadlock.
            TransactionFailedError: a part failed and its error was swallowed.
            Unavailable: the connection was lost; at commit the outcome is then unknown.
        """
        running = transactions.ambient(self)
        if running is not None:
            with running.joined():
                yield running
            return
        async with self._own() as tx:
            yield tx
        tx.announce()

    @asynccontextmanager
    async def _own(self) -> AsyncIterator[Transaction]:
        connection = await self._acquire()
        tx = Transaction(self, connection, transactions.running())
        token = transactions.enter(tx)
        try:
            await tx.begin()
            yield tx
            await tx.commit()
        except BaseException:
            await tx.rollback()
            raise
        finally:
            transactions.leave(tx, token)
            self._pool.release(connection)

    async def _acquire(self) -> Connection:
        try:
            return await self._pool.acquire()
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    def after_commit(self, callback: Callable[[], object]) -> None:
        """Call back when the ambient transaction commits, or at once when there is none."""
        running = transactions.ambient(self)
        if running is None:
            callback()
        else:
            running.on_commit(callback)

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """All rows of a statement."""
        running = transactions.ambient(self)
        if running is not None:
            return await running.fetch(sql, *args)
        connection = await self._acquire()
        try:
            return await connection.fetch(sql, *args)
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        finally:
            self._pool.release(connection)

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        """The first row of a statement, or None."""
        running = transactions.ambient(self)
        if running is not None:
            return await running.fetchrow(sql, *args)
        connection = await self._acquire()
        try:
            return await connection.fetchrow(sql, *args)
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        finally:
            self._pool.release(connection)

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first column of the first row, or None."""
        running = transactions.ambient(self)
        if running is not None:
            return await running.fetchval(sql, *args)
        connection = await self._acquire()
        try:
            return await connection.fetchval(sql, *args)
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        finally:
            self._pool.release(connection)

    async def execute(self, sql: str, *args: object) -> str:
        """Run a statement; without args it may be a script of several. Returns the command tag."""
        running = transactions.ambient(self)
        if running is not None:
            return await running.execute(sql, *args)
        connection = await self._acquire()
        try:
            return await connection.execute(sql, *args)
        except DRIVER_ERRORS as error:
            raise translate(error) from error
        finally:
            self._pool.release(connection)
