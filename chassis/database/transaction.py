"""A running transaction and the statements that it offers."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from contextvars import ContextVar, Token
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg

from chassis.database.errors import DRIVER_ERRORS, TransactionFailedError, translate

if TYPE_CHECKING:
    from chassis.database.database import Database

_log = logging.getLogger(__name__)
_running: ContextVar["Transaction | None"] = ContextVar("greenledger_transaction", default=None)


class CommitWork(Protocol):
    """What a transaction does last of all, in the round trip of its COMMIT.

    Locks that it takes are held for that commit alone, never while the client thinks, and since nothing
    is locked after them they cannot be part of a deadlock.
    """

    def commit_sql(self, items: Sequence[Any]) -> str:
        """One statement, without parameters, over all items of the transaction, in their order."""
        ...


class Transaction:
    """One READ COMMITTED transaction; made by `Database.transaction`, never by hand."""

    def __init__(
        self,
        database: "Database",
        connection: "asyncpg.Connection[asyncpg.Record]",
        outer: "Transaction | None",
    ) -> None:
        self._database = database
        self._connection = connection
        self._owner = asyncio.current_task()
        self._outer = outer
        self._on_commit: list[Callable[[], object]] = []
        self._at_commit: list[tuple[CommitWork, object]] = []
        self._failed = False
        self._over = False

    @property
    def connection(self) -> "asyncpg.Connection[asyncpg.Record]":
        """The asyncpg connection, for what the methods here do not cover (cursors, COPY out).

        Raises:
            RuntimeError: the transaction is over.
        """
        if self._over:
            raise RuntimeError("the transaction is over; this task kept it too long")
        return self._connection

    async def fetch(self, sql: str, *args: object) -> list[asyncpg.Record]:
        """All rows of a statement."""
        try:
            return await self.connection.fetch(sql, *args)
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    async def fetchrow(self, sql: str, *args: object) -> asyncpg.Record | None:
        """The first row of a statement, or None."""
        try:
            return await self.connection.fetchrow(sql, *args)
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    async def fetchval(self, sql: str, *args: object) -> Any:
        """The first column of the first row, or None."""
        try:
            return await self.connection.fetchval(sql, *args)
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    async def execute(self, sql: str, *args: object) -> str:
        """Run a statement; without args it may be a script of several. Returns the command tag."""
        try:
            return await self.connection.execute(sql, *args)
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    async def executemany(self, sql: str, args: Iterable[Sequence[object]]) -> None:
        """Run one statement for each argument list, pipelined."""
        try:
            await self.connection.executemany(sql, args)
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    async def copy(self, table: str, columns: Sequence[str], records: Iterable[Sequence[object]]) -> None:
        """Load records by COPY; fastest for thousands of rows that need no answer."""
        try:
            await self.connection.copy_records_to_table(table, columns=list(columns), records=records)
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    def on_commit(self, callback: Callable[[], object]) -> None:
        """Call back once the transaction is committed; dropped on rollback.

        Args:
            callback: quick and synchronous (set a flag, wake a loop); what it raises is logged.
        """
        self._on_commit.append(callback)

    def at_commit(self, work: CommitWork, item: object) -> None:
        """Leave something to be done right before COMMIT; dropped when its savepoint is undone.

        Args:
            work: gets all its items of this transaction at once, when everything else is done.
            item: one of them.
        """
        self._at_commit.append((work, item))

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator["Transaction"]:
        """Let the body fail alone: its writes are undone, the error is raised, the transaction lives on."""
        callbacks, left, failed = len(self._on_commit), len(self._at_commit), self._failed
        await self.execute("SAVEPOINT body")
        try:
            yield self
            self.refuse_when_failed()
        except BaseException:
            await self.execute("ROLLBACK TO SAVEPOINT body; RELEASE SAVEPOINT body")
            del self._on_commit[callbacks:]
            del self._at_commit[left:]
            self._failed = failed
            raise
        await self.execute("RELEASE SAVEPOINT body")

    @contextmanager
    def joined(self) -> Iterator["Transaction"]:
        """The scope of a caller who joins: an error that leaves it forbids the commit."""
        try:
            yield self
        except BaseException:
            self._failed = True
            raise

    def refuse_when_failed(self) -> None:
        """Raise TransactionFailedError when an inner scope failed and somebody swallowed its error."""
        if self._failed:
            raise TransactionFailedError("a joined scope failed; wrap what may fail alone in a savepoint")

    async def begin(self) -> None:
        """Start it (called by Database)."""
        await self.execute("BEGIN")

    async def commit(self) -> None:
        """Commit it (called by Database).

        Raises:
            TransactionFailedError: a failed statement was swallowed, so that PostgreSQL rolled back instead.
            Unavailable: the connection was lost; whether the commit took effect is unknown.
        """
        self.refuse_when_failed()
        try:
            ended = await self.execute(self._last_script())
        except asyncpg.InFailedSQLTransactionError:
            ended = "ROLLBACK"
        # PostgreSQL answers COMMIT of a failed transaction with a silent ROLLBACK.
        if ended != "COMMIT":
            raise TransactionFailedError("a statement failed; wrap what may fail alone in a savepoint")

    def _last_script(self) -> str:
        works: dict[CommitWork, list[object]] = {}
        for work, item in self._at_commit:
            works.setdefault(work, []).append(item)
        return "; ".join([*(work.commit_sql(items) for work, items in works.items()), "COMMIT"])

    async def rollback(self) -> None:
        """Undo it (called by Database); a connection that cannot is thrown away."""
        try:
            if self._connection.is_in_transaction():
                await self._connection.execute("ROLLBACK")
        except (Exception, asyncio.CancelledError):
            # Whatever the reason: a connection with an open transaction must not go back to the pool.
            self._connection.terminate()

    def announce(self) -> None:
        """Run the callbacks of `on_commit` (called by Database)."""
        for callback in self._on_commit:
            try:
                callback()
            except Exception:
                _log.exception("a callback after commit failed")


def ambient(database: "Database") -> Transaction | None:
    """The transaction of this database that the running task has open, if any.

    A child task inherits the context variable but not the ownership: two tasks on one connection
    would interleave their statements.
    """
    candidate = _running.get()
    if candidate is None:
        return None
    task = asyncio.current_task()
    while candidate is not None:
        if candidate._database is database and candidate._owner is task and not candidate._over:
            return candidate
        candidate = candidate._outer
    return None


def running() -> Transaction | None:
    """The innermost transaction of the context, whoever owns it."""
    return _running.get()


def enter(tx: Transaction) -> Token[Transaction | None]:
    """Make a transaction the ambient one."""
    return _running.set(tx)


def leave(tx: Transaction, token: Token[Transaction | None]) -> None:
    """Take it out of the context, also for code that kept a copy of the context."""
    tx._over = True
    _running.reset(token)
