"""A bounded set of connections.

asyncpg's own pool resets each connection in a shielded task when it comes back: a fifth of the client's
time for a one-row statement. Nothing here sets session state, so coming back is a list append.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeAlias

import asyncpg

from chassis.database.errors import DatabaseUnavailable
from chassis.errors import Unavailable

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"
Connect = Callable[[], Awaitable[Connection]]


async def connect(dsn: str, *, timeout_s: float, command_timeout_s: float, **settings: str) -> Connection:
    """One connection to a database.

    Args:
        dsn: libpq URL.
        timeout_s, command_timeout_s: longest waits for the connection and for one statement, in seconds:
            without them a half-open connection would hang its loop while health says SERVING.
        settings: of the session.

    Raises:
        DatabaseUnavailable: it takes no connections, as during its maintenance.
        Whatever asyncpg raises.
    """
    try:
        return await asyncpg.connect(
            dsn, timeout=timeout_s, command_timeout=command_timeout_s, server_settings=settings
        )
    except asyncpg.ObjectNotInPrerequisiteStateError as error:
        raise DatabaseUnavailable() from error


class Pool:
    """Connections opened on demand, used last in first out, replaced when they broke.

    Args:
        connect: opens one.
        size: most connections at a time; further callers wait in order.
    """

    def __init__(self, connect: Connect, size: int) -> None:
        self._connect = connect
        self._size = size
        self._slots = asyncio.Semaphore(size)
        self._idle: list[Connection] = []
        self._open: set[Connection] = set()
        self._closing = False

    async def acquire(self) -> Connection:
        """A connection for the caller alone, until `release`.

        Raises:
            Unavailable: the pool is closed.
            Whatever `connect` raises.
        """
        await self._slots.acquire()
        try:
            if self._closing:
                raise Unavailable("UNAVAILABLE", "The service is shutting down.")
            while self._idle:
                connection = self._idle.pop()
                if not connection.is_closed():
                    return connection
                self._open.discard(connection)
            connection = await self._connect()
            self._open.add(connection)
        except BaseException:
            self._slots.release()
            raise
        return connection

    def release(self, connection: Connection) -> None:
        """Give a connection back; one that broke or is inside a transaction is thrown away."""
        if connection.is_closed() or connection.is_in_transaction():
            connection.terminate()
            self._open.discard(connection)
        else:
            self._idle.append(connection)
        self._slots.release()

    async def close(self) -> None:
        """Refuse new callers, wait for the connections in use, close all."""
        self._closing = True
        for _ in range(self._size):
            await self._slots.acquire()
        while self._idle:
            await self._idle.pop().close()
        self._open.clear()
        for _ in range(self._size):
            self._slots.release()  # late callers get their refusal instead of waiting for ever

    def terminate(self) -> None:
        """Cut every connection at once."""
        self._closing = True
        for connection in self._open:
            connection.terminate()
        self._open.clear()
        self._idle.clear()
