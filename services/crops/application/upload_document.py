"""Take a document over a protocol that cannot stream: in parts, kept until they have been captured."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID, uuid5

from chassis.clock import Clock
from chassis.context import Principal, current
from chassis.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from chassis.transactions import Transactions
from services.crops.application.capture_document import owner_of
from services.crops.application.epcis_ports import CaptureJob, CaptureJobs, JobState
from services.crops.application.upload_ports import Uploads

MOST_BYTES = 64_000_000
"""Of one document in parts; a longer one is streamed."""
MOST_UNDER_WAY = 8
"""Documents of one owner whose parts are kept."""
_RETRY = timedelta(seconds=5)
_JOBS = UUID("0b2f7f56-1f2e-4b0c-8a53-5f6e9d1a7c44")


class DocumentParts:
    """Begins a document, takes its parts, and lets it be captured when all are there."""

    def __init__(
        self,
        transactions: Transactions,
        jobs: CaptureJobs,
        uploads: Uploads,
        clock: Clock,
        announce: Callable[[], object],
    ) -> None:
        self._transactions = transactions
        self._jobs = jobs
        self._uploads = uploads
        self._clock = clock
        self._announce = announce  # to whoever captures, once a document is complete

    async def create(self, actor: Principal, request_id: str, document: bytes = b"") -> CaptureJob:
        """The job, named after caller and request_id; it goes on by itself when the document is given.

        Raises:
            AlreadyExists: REQUEST_ID_REUSED.
            ResourceExhausted: CAPTURE_TOO_MANY.
        """
        owner, now = owner_of(actor), self._clock.now()
        job_id = str(uuid5(_JOBS, f"{owner}|{request_id}"))
        digest = hashlib.sha256(document).digest() if document else b""
        async with self._transactions.transaction():
            under_way = await self._uploads.under_way(owner)
            known = await self._jobs.get(job_id)
            if known is not None:
                return _same(known, digest)
            if under_way >= MOST_UNDER_WAY:
                text = f"{under_way} documents of yours are being sent or captured."
                raise ResourceExhausted("CAPTURE_TOO_MANY", text, retry_after=_RETRY)
            begun = CaptureJob(job_id, owner, JobState.UPLOADING, now, now, digest=digest)
            job = await self._jobs.open(begun)
            await self._uploads.open(job_id, owner, now)
            if document:
                await self._uploads.add(job_id, 0, document, now)
                job = await self._go_on(replace(job, parts=1, size=len(document)))
        self._announce()
        return job

    async def add(self, actor: Principal, job_id: str, index: int, chunk: bytes) -> CaptureJob:
        """The job with a part; the same part again changes nothing.

        Raises:
            NotFound: CAPTURE_JOB_NOT_FOUND, also for somebody else's.
            FailedPrecondition: CAPTURE_NOT_OPEN.
            AlreadyExists: CAPTURE_PART_CONFLICT.
            InvalidArgument: CAPTURE_TOO_LARGE.
        """
        async with self._transactions.transaction():
            job = await self._own(actor, job_id)
            if job.state is not JobState.UPLOADING:
                raise FailedPrecondition("CAPTURE_NOT_OPEN", "The document takes no further parts.")
            present = await self._uploads.add(job_id, index, chunk, self._clock.now())
            if present == chunk:
                return job
            if present is not None:
                raise AlreadyExists("CAPTURE_PART_CONFLICT", f"Part {index} was sent with other bytes.")
            if job.size + len(chunk) > MOST_BYTES:
                text = f"In parts a document has at most {MOST_BYTES} bytes; stream a longer one."
                raise InvalidArgument("CAPTURE_TOO_LARGE", text)
        return replace(job, parts=job.parts + 1, size=job.size + len(chunk))

    async def finish(self, actor: Principal, job_id: str, parts: int) -> CaptureJob:
        """The job, which goes on by itself; finished once more it is only looked at.

        Raises:
            NotFound: CAPTURE_JOB_NOT_FOUND, also for somebody else's.
            FailedPrecondition: CAPTURE_PARTS_MISSING.
            InvalidArgument: VALIDATION_FAILED, there are more parts than that.
        """
        async with self._transactions.transaction():
            job = await self._own(actor, job_id)
            missing = await self._uploads.missing(job_id, parts) if job.state is JobState.UPLOADING else ()
            if missing:
                places = ", ".join(map(str, missing))
                text = f"Not sent yet: part {places}."
                raise FailedPrecondition("CAPTURE_PARTS_MISSING", text, metadata={"parts": places})
            if job.parts != parts:
                raise InvalidArgument("VALIDATION_FAILED", f"{job.parts} parts were sent, not {parts}.")
            if job.state is JobState.UPLOADING:
                job = await self._go_on(job)
        self._announce()
        return job

    async def _go_on(self, job: CaptureJob) -> CaptureJob:
        job = replace(job, state=JobState.RUNNING, update_time=self._clock.now())
        await self._jobs.save(job, [])
        await self._uploads.complete(job.job_id, current(), job.update_time)
        return job

    async def _own(self, actor: Principal, job_id: str) -> CaptureJob:
        job = await self._jobs.lock(job_id)
        if job is None or job.owner != owner_of(actor):
            raise NotFound("CAPTURE_JOB_NOT_FOUND", "You have no such capture job.")
        return job


def _same(known: CaptureJob, digest: bytes) -> CaptureJob:
    if digest and known.digest != digest:
        raise AlreadyExists("REQUEST_ID_REUSED", "The request_id was used for another document.")
    return known
