"""Capture jobs in tables."""

from collections.abc import Sequence
from datetime import datetime

import asyncpg

from chassis.database import Database
from services.crops.application.epcis_ports import CaptureError, CaptureJob, JobState

_OPEN = """
INSERT INTO epcis_job (
    job_id, owner, state, create_time, update_time, captured, duplicates, refused, findings, failure, digest
)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11) ON CONFLICT (job_id) DO NOTHING
"""
_SAVE = """
UPDATE epcis_job SET state = $2, update_time = $3, captured = $4, duplicates = $5, refused = $6,
    findings = $7, failure = $8, digest = $9, events_read = $10
WHERE job_id = $1
"""
_ADD_ERRORS = """
INSERT INTO epcis_job_error SELECT $1, * FROM unnest($2::bigint[], $3::text[], $4::text[])
ON CONFLICT DO NOTHING
"""
_ERRORS = "SELECT * FROM epcis_job_error WHERE job_id = $1 AND index > $2 ORDER BY index LIMIT $3"
_FORGET = """
WITH ended AS (
    DELETE FROM epcis_job WHERE job_id IN (
        SELECT job_id FROM epcis_job WHERE state = ANY($3) AND update_time < $1
        ORDER BY update_time LIMIT $2 FOR UPDATE SKIP LOCKED
    )
    RETURNING job_id
), dropped AS (
    DELETE FROM epcis_job_error USING ended WHERE epcis_job_error.job_id = ended.job_id
)
SELECT count(*) FROM ended
"""
_ENDED = [JobState.SUCCEEDED.value, JobState.FAILED.value]


class StoredJobs:
    """Implements `CaptureJobs`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, job: CaptureJob) -> CaptureJob:
        await self._database.execute(
            _OPEN,
            job.job_id,
            job.owner,
            job.state.value,
            job.create_time,
            job.update_time,
            job.captured,
            job.duplicates,
            job.refused,
            job.findings,
            job.failure,
            job.digest,
        )
        found = await self.get(job.job_id)
        return found or job

    async def get(self, job_id: str) -> CaptureJob | None:
        row = await self._database.fetchrow("SELECT * FROM epcis_job WHERE job_id = $1", job_id)
        return None if row is None else _job(row)

    async def lock(self, job_id: str) -> CaptureJob | None:
        row = await self._database.fetchrow("SELECT * FROM epcis_job WHERE job_id = $1 FOR UPDATE", job_id)
        return None if row is None else _job(row)

    async def save(self, job: CaptureJob, errors: Sequence[CaptureError]) -> None:
        await self._database.execute(
            _SAVE,
            job.job_id,
            job.state.value,
            job.update_time,
            job.captured,
            job.duplicates,
            job.refused,
            job.findings,
            job.failure,
            job.digest,
            job.events_read,
        )
        if errors:
            await self._database.execute(
                _ADD_ERRORS,
                job.job_id,
                [each.index for each in errors],
                [each.reason for each in errors],
                [each.message for each in errors],
            )

    async def errors(self, job_id: str, after: int, limit: int) -> Sequence[CaptureError]:
        rows = await self._database.fetch(_ERRORS, job_id, after, limit)
        return [CaptureError(row["index"], row["reason"], row["message"]) for row in rows]

    async def forget(self, before: datetime, limit: int) -> int:
        return int(await self._database.fetchval(_FORGET, before, limit, _ENDED))


def _job(row: asyncpg.Record) -> CaptureJob:
    return CaptureJob(**{**dict(row), "state": JobState(row["state"])})
