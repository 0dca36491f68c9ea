"""Documents in parts, in tables."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime

from chassis.context import RequestContext
from chassis.database import Database
from services.crops.application.upload_ports import Claim

_OWNER_LOCKS = 0x4551  # first half of the advisory locks' key, theirs alone
_LOCK_OWNER = "SELECT pg_advisory_xact_lock($1, hashtext($2))"
_OPEN = """
INSERT INTO epcis_upload (job_id, owner, correlation_id, touched_at, lease_until) VALUES ($1, $2, '', $3, $3)
"""
_UNDER_WAY = "SELECT count(*) FROM epcis_upload WHERE owner = $1"
_ADD = """
INSERT INTO epcis_upload_part (job_id, index, chunk) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING RETURNING true
"""
_COUNT = "UPDATE epcis_job SET parts = parts + 1, size = size + $2, update_time = $3 WHERE job_id = $1"
_MISSING = """
SELECT place FROM generate_series(0, $2::integer - 1) AS place
WHERE NOT EXISTS (SELECT FROM epcis_upload_part WHERE job_id = $1 AND index = place)
ORDER BY place LIMIT 10
"""
_COMPLETE = """
UPDATE epcis_upload
SET complete = true, correlation_id = $2, traceparent = $3, touched_at = $4, lease_until = $4
WHERE job_id = $1
"""
_CLAIM = """
UPDATE epcis_upload SET epoch = epoch + 1, attempts = attempts + 1, lease_until = $2
WHERE job_id = (
    SELECT job_id FROM epcis_upload AS waiting WHERE complete AND lease_until <= $1
    ORDER BY EXISTS (
        SELECT FROM epcis_upload AS earlier
        WHERE earlier.owner = waiting.owner AND earlier.complete AND earlier.touched_at < waiting.touched_at
    ), touched_at
    LIMIT 1 FOR UPDATE OF waiting SKIP LOCKED
)
RETURNING job_id, epoch, attempts, correlation_id, traceparent
"""
_EXTEND = """
UPDATE epcis_upload SET lease_until = $3, attempts = 0 WHERE job_id = $1 AND epoch = $2 RETURNING true
"""
_HOLD = "UPDATE epcis_upload SET lease_until = $3 WHERE job_id = $1 AND epoch = $2 RETURNING true"
_OTHERS = """
SELECT EXISTS (SELECT FROM epcis_upload WHERE complete AND lease_until <= $2 AND job_id <> $1)
"""
_LET_GO = """
UPDATE epcis_upload
SET lease_until = $3, attempts = 0, touched_at = CASE WHEN $4 THEN $3 ELSE touched_at END
WHERE job_id = $1 AND epoch = $2
"""
_PART = "SELECT chunk FROM epcis_upload_part WHERE job_id = $1 AND index = $2"
_ABANDONED = """
SELECT job_id FROM epcis_upload WHERE NOT complete AND touched_at < $1 LIMIT 100 FOR UPDATE SKIP LOCKED
"""


class StoredUploads:
    """Implements `Uploads`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def under_way(self, owner: str) -> int:
        await self._database.fetch(_LOCK_OWNER, _OWNER_LOCKS, owner)
        return int(await self._database.fetchval(_UNDER_WAY, owner))

    async def open(self, job_id: str, owner: str, now: datetime) -> None:
        await self._database.execute(_OPEN, job_id, owner, now)

    async def add(self, job_id: str, index: int, chunk: bytes, now: datetime) -> bytes | None:
        async with self._database.transaction() as tx:
            if not await tx.fetchval(_ADD, job_id, index, chunk):
                present: bytes = await tx.fetchval(_PART, job_id, index)
                return present
            await tx.execute(_COUNT, job_id, len(chunk), now)
            await tx.execute("UPDATE epcis_upload SET touched_at = $2 WHERE job_id = $1", job_id, now)
        return None

    async def missing(self, job_id: str, parts: int) -> Sequence[int]:
        return [row["place"] for row in await self._database.fetch(_MISSING, job_id, parts)]

    async def complete(self, job_id: str, context: RequestContext, now: datetime) -> None:
        await self._database.execute(_COMPLETE, job_id, context.correlation_id, context.traceparent, now)

    async def claim(self, now: datetime, until: datetime) -> Claim | None:
        row = await self._database.fetchrow(_CLAIM, now, until)
        return None if row is None else Claim(**dict(row))

    async def extend(self, claim: Claim, until: datetime) -> bool:
        return bool(await self._database.fetchval(_EXTEND, claim.job_id, claim.epoch, until))

    async def hold(self, claim: Claim, until: datetime) -> bool:
        return bool(await self._database.fetchval(_HOLD, claim.job_id, claim.epoch, until))

    async def others_wait(self, claim: Claim, now: datetime) -> bool:
        return bool(await self._database.fetchval(_OTHERS, claim.job_id, now))

    async def let_go(self, claim: Claim, now: datetime, *, behind_others: bool) -> None:
        await self._database.execute(_LET_GO, claim.job_id, claim.epoch, now, behind_others)

    async def chunks(self, job_id: str) -> AsyncIterator[bytes]:
        index = 0
        while (chunk := await self._database.fetchval(_PART, job_id, index)) is not None:
            yield chunk
            index += 1

    async def drop(self, job_id: str) -> None:
        await self._database.execute("DELETE FROM epcis_upload WHERE job_id = $1", job_id)

    async def abandoned(self, before: datetime) -> Sequence[str]:
        return [row["job_id"] for row in await self._database.fetch(_ABANDONED, before)]
