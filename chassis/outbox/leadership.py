"""One leader among the relays of a shard, by an advisory lock on a session of its own."""

import asyncio
import time
import zlib
from collections.abc import Callable

import asyncpg

from chassis.database import translate
from chassis.database.errors import DRIVER_ERRORS
from chassis.database.pool import connect

_NAMESPACE = 3  # 1 and 2 are the logs of chassis.watermark
_COALESCE_S = 0.010


class Session:
    """A database session that may hold a relay's lock, and carries its wake-ups.

    The lock lives and dies with the session, so that a leader that lost its connection is no leader.

    Args:
        dsn: URL of the database.
        name: of the relay and its shard.
        wake: called when another process says that something was published.
    """

    def __init__(self, dsn: str, name: str, wake: Callable[[], object]) -> None:
        self._dsn = dsn
        self._key = _NAMESPACE << 48 | zlib.crc32(name.encode())
        self._channel = f"outbox_{self._key & 0xFFFFFFFF:08x}"
        self._wake = wake
        self._notified_at = float("-inf")
        self._connection: asyncpg.Connection[asyncpg.Record] | None = None

    @property
    def connection(self) -> "asyncpg.Connection[asyncpg.Record]":
        """The session, for the statements that must end when leadership ends."""
        if self._connection is None:
            raise ConnectionError("the relay's session is not open")
        return self._connection

    async def open(self) -> None:
        """Connect and listen.

        Raises:
            Unavailable: the database does not answer.
        """
        try:
            self._connection = await connect(
                self._dsn,
                timeout_s=5,
                command_timeout_s=30,
                application_name="relay",
                # Only the cursor is written here, and a server that crashes may forget where it stood in
                # the last half second: those events are sent again, as after a crash of the relay. It
                # cannot forget a fact, because what the cursor tells of was committed by others.
                synchronous_commit="off",
            )
            await self._connection.add_listener(self._channel, self._notified)
        except DRIVER_ERRORS as error:
            raise translate(error) from error

    def _notified(self, *_notification: object) -> None:
        self._wake()

    async def try_to_lead(self) -> bool:
        """Take the lock if it is free."""
        return bool(await self.connection.fetchval("SELECT pg_try_advisory_lock($1)", self._key))

    async def pass_on_wake(self) -> None:
        """Tell the leader, who is elsewhere, that something was published; at most once per 10 ms.

        NOTIFY takes a lock over all commits of the server, so it is not in the writers' transactions.
        """
        left = self._notified_at + _COALESCE_S - time.monotonic()
        if left > 0:
            await asyncio.sleep(left)
        self._notified_at = time.monotonic()
        await self.connection.execute("SELECT pg_notify($1, '')", self._channel)

    async def close(self) -> None:
        """End the session, and with it leadership."""
        connection, self._connection = self._connection, None
        if connection is not None:
            try:
                await connection.close(timeout=2)
            except DRIVER_ERRORS:
                connection.terminate()
