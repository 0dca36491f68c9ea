"""Capture the documents that were sent in parts, each event once, whatever becomes of the process."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import structlog

from chassis.background import Every
from chassis.clock import Clock
from chassis.context import Principal, RequestContext, use
from chassis.crashpoints import crashpoint, declare
from chassis.errors import InvalidArgument
from chassis.transactions import Transactions
from chassis.wakeup import Wakeup
from services.crops.application.capture_document import RecordDocument
from services.crops.application.epcis_ports import CaptureJob, CaptureJobs, JobState
from services.crops.application.upload_ports import Claim, Uploads

_log = structlog.get_logger(__name__)

MOST_ATTEMPTS = 5
"""So often in a row a document may fail, or kill the process, before it has got on by one batch."""
ABANDONED_AFTER = timedelta(hours=24)
_PIECE = 65_536

UPLOAD_CRASHPOINTS = ("epcis.upload.claimed", "epcis.upload.captured")
"""Crash points: a document was claimed and nothing is captured; it was captured and nothing came after."""
_CLAIMED, _CAPTURED = UPLOAD_CRASHPOINTS
declare(*UPLOAD_CRASHPOINTS)


class _Paused(Exception):
    """The process is to end; what is not done yet is left to the next one."""


class _TakenOver(Exception):
    """Another process holds the document now, since this one was too slow; its batch is undone."""


class CaptureUploads:
    """A loop that captures one document after the other; several processes share the work.

    A process holds a document by a lease, which each batch renews in its own transaction: one that lost it
    cannot record anything any more.

    Args:
        lease: after which a document of a dead process is taken over.
        poll: pause when nothing waits; `wakeup` ends it.
    """

    def __init__(
        self,
        transactions: Transactions,
        record: RecordDocument,
        jobs: CaptureJobs,
        uploads: Uploads,
        clock: Clock,
        *,
        lease: timedelta,
        poll: timedelta,
    ) -> None:
        self._transactions = transactions
        self._record = record
        self._jobs = jobs
        self._uploads = uploads
        self._clock = clock
        self._lease = lease
        self._stopping = False
        self.wakeup = Wakeup()
        """Notify it when a document is complete."""
        self._every = Every("epcis.capture", self.once, poll, self.wakeup)

    async def run(self) -> None:
        """Capture until `stop` was called."""
        await self._every.run()

    async def stop(self) -> None:
        """Ask `run` to end; a document is left where it is."""
        self._stopping = True
        await self._every.stop()

    async def once(self) -> bool:
        """Capture a document; false when none waited."""
        now = self._clock.now()
        claim = await self._uploads.claim(now, now + self._lease)
        if claim is None:
            await self._forget_abandoned()
            return False
        crashpoint(_CLAIMED)
        job = await self._jobs.get(claim.job_id)
        if job is None:
            raise RuntimeError(f"the upload {claim.job_id} has no job")
        if claim.attempts > MOST_ATTEMPTS:
            await self._fail(claim, job, f"It was given up: the service failed on it {MOST_ATTEMPTS} times.")
            return True
        await self._capture(claim, job)
        return True

    async def _capture(self, claim: Claim, job: CaptureJob) -> None:
        kind, _, subject = job.owner.partition(":")
        actor = Principal(subject, "service" if kind == "service" else "user")
        context = RequestContext(
            correlation_id=claim.correlation_id,
            causation_id=claim.job_id,
            principal=actor,
            traceparent=claim.traceparent,
        )

        async def hold(after: CaptureJob) -> None:
            if not await self._uploads.extend(claim, self._clock.now() + self._lease):
                raise _TakenOver
            if after.state is not JobState.RUNNING:
                await self._uploads.drop(claim.job_id)

        try:
            with use(context):
                await self._record(actor, job, self._chunks(claim), hold)
            crashpoint(_CAPTURED)
        except _TakenOver:
            _log.warning("epcis.capture_taken_over", job_id=claim.job_id)
        except _Paused:
            await self._uploads.let_go(claim, self._clock.now())
        except InvalidArgument as error:
            _log.warning("epcis.capture_failed", job_id=claim.job_id, reason=error.reason, exc_info=True)
            await self._fail(claim, job, error.message)

    async def _chunks(self, claim: Claim) -> AsyncIterator[bytes]:
        async for chunk in self._uploads.chunks(claim.job_id):
            for at in range(0, len(chunk), _PIECE):
                if self._stopping:
                    raise _Paused
                yield chunk[at : at + _PIECE]

    async def _fail(self, claim: Claim, job: CaptureJob, failure: str) -> None:
        async with self._transactions.transaction():
            if await self._uploads.extend(claim, self._clock.now()):
                await self._end(job.job_id, failure)

    async def _forget_abandoned(self) -> None:
        async with self._transactions.transaction():
            for job_id in await self._uploads.abandoned(self._clock.now() - ABANDONED_AFTER):
                await self._end(job_id, "Its parts did not come within a day.")

    async def _end(self, job_id: str, failure: str) -> None:
        job = await self._jobs.lock(job_id)
        if job is not None:
            ended = replace(job, state=JobState.FAILED, failure=failure[:1000], update_time=self._clock.now())
            await self._jobs.save(ended, [])
        await self._uploads.drop(job_id)
