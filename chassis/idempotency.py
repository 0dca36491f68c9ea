"""Answering a repeated request with the first answer (AIP-155)."""

from collections.abc import Awaitable, Callable
from datetime import timedelta

from chassis.clock import Clock
from chassis.crashpoints import crashpoint, declare
from chassis.database import Database
from chassis.errors import AlreadyExists

CREATE_V1 = """
CREATE TABLE idempotency (
    key text PRIMARY KEY,
    request_hash bytea NOT NULL,
    response bytea,
    created_at timestamptz NOT NULL
);
CREATE INDEX idempotency_created_at_key ON idempotency (created_at);
"""

DROP_V1 = """
DROP TABLE idempotency;
"""

_PURGE_BATCH = 5000

IDEMPOTENCY_CRASHPOINTS = ("idempotency.handled", "idempotency.committed")
"""Crash points: the handler's work is done but not committed; it is committed but not answered."""
declare(*IDEMPOTENCY_CRASHPOINTS)


class IdempotencyStore:
    """Remembers the response of each key, in the transaction that did the work.

    Args:
        database: with the table of `CREATE_V1`.
        clock: stamps and expires entries.
        retention: how long a key is kept at least; default 48 hours.
    """

    def __init__(self, database: Database, clock: Clock, retention: timedelta = timedelta(hours=48)) -> None:
        self._database = database
        self._clock = clock
        self._retention = retention

    async def execute(
        self, key: str, request_hash: bytes, handler: Callable[[], Awaitable[bytes]]
    ) -> tuple[bytes, bool]:
        """Run the handler once for a key.

        Args:
            key: caller, method and request id together; a key of another caller must differ.
            request_hash: digest of the request without its key.
            handler: does the work on the ambient transaction and gives the serialised response. What
                it raises undoes the work and the key, so that the request may be tried again.

        Returns:
            The response, and whether it is that of an earlier run. A concurrent run of the same key
            waits here for the first one to end.

        Raises:
            AlreadyExists: REQUEST_ID_REUSED, the key was used for another request.
        """
        async with self._database.transaction() as tx:
            claimed = await tx.fetchval(
                """
                INSERT INTO idempotency (key, request_hash, created_at) VALUES ($1, $2, $3)
                ON CONFLICT DO NOTHING RETURNING true
                """,
                key,
                request_hash,
                self._clock.now(),
            )
            if not claimed:
                return await self._stored(key, request_hash), True
            response = await handler()
            crashpoint("idempotency.handled")
            await tx.execute("UPDATE idempotency SET response = $2 WHERE key = $1", key, response)
        crashpoint("idempotency.committed")
        return response, False

    async def purge(self) -> int:
        """Forget keys older than the retention; returns how many."""
        total = 0
        while True:
            tag = await self._database.execute(
                """
                DELETE FROM idempotency WHERE key IN (
                    SELECT key FROM idempotency WHERE created_at < $1 LIMIT $2 FOR UPDATE SKIP LOCKED
                )
                """,
                self._clock.now() - self._retention,
                _PURGE_BATCH,
            )
            deleted = int(tag.rsplit(" ", 1)[1])
            total += deleted
            if deleted < _PURGE_BATCH:
                return total

    async def _stored(self, key: str, request_hash: bytes) -> bytes:
        row = await self._database.fetchrow(
            "SELECT request_hash, response FROM idempotency WHERE key = $1", key
        )
        # A row that a purge took in between answers like one of another request: the id is spent.
        if row is None or row["request_hash"] != request_hash or row["response"] is None:
            raise AlreadyExists("REQUEST_ID_REUSED", "This request_id was used for another request.")
        return bytes(row["response"])
