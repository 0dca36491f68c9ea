"""Capture the documents that were sent in parts, each event once, whatever becomes of the process."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import datetime, timedelta

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
TURN = timedelta(seconds=5)
ABANDONED_AFTER = timedelta(hours=24)
_PIECE = 65_536

UPLOAD_CRASHPOINTS = ("epcis.upload.claimed", "epcis.upload.captured")
"""Crash points: a document was claimed and nothing is captured; it was captured and nothing came after."""
_CLAIMED, _CAPTURED = UPLOAD_CRASHPOINTS
declare(*UPLOAD_CRASHPOINTS)


class _Paused(Exception):
    """The process is to end; what is not done yet is left to the next one."""


class _TurnOver(Exception):
    """Others wait; what is not done yet is left until they have had their turn."""


class _TakenOver(Exception):
    """Another process holds the document now, since this one was too slow; its batch is undone."""


class _Turn:
    """A document in hand: keeps its lease, and ends when others wait and it has had its time."""

    def __init__(
        self, uploads: Uploads, clock: Clock, claim: Claim, lease: timedelta, length: timedelta
    ) -> None:
        self._uploads = uploads
        self._clock = clock
        self._claim = claim
        self._lease = lease
        self._length = length
        self._began = self._renewed = clock.now()
        self._ends: datetime | None = None

    async def got_on(self) -> None:
        """A batch is recorded; in its transaction, which ends as it was not when the lease is lost."""
        now = self._clock.now()
        if not await self._uploads.extend(self._claim, now + self._lease):
            raise _TakenOver
        self._renewed = now
        if self._ends is None:
            # As long again as it took to find the place, at least: most of the time goes into recording.
            self._ends = max(self._began + self._length, now + (now - self._began))

    async def goes_on(self) -> None:
        """Between batches: a document may be so long that finding its place outlives a lease."""
        now = self._clock.now()
        if now - self._renewed >= self._lease / 3:
            if not await self._uploads.hold(self._claim, now + self._lease):
                raise _TakenOver
            self._renewed = now
        if self._ends is not None and now >= self._ends:
            if await self._uploads.others_wait(self._claim, now):
                raise _TurnOver
            self._ends = now + self._length


class CaptureUploads:
    """A loop that captures the documents in turn; several processes share the work.

    A process holds a document by a lease, which each batch renews in its own transaction: one that lost it
    cannot record anything any more. Where others wait, it lets go of a document after a while, with what was
    recorded of it, so that a long one does not keep them waiting.

    Args:
        lease: after which a document of a dead process is taken over.
        poll: pause when nothing waits; `wakeup` ends it.
        turn: how long it stays with a document while others wait; at least one batch. Default `TURN`.
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
        turn: timedelta = TURN,
    ) -> None:
        self._transactions = transactions
        self._record = record
        self._jobs = jobs
        self._uploads = uploads
        self._clock = clock
        self._lease = lease
        self._turn = turn
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
        """Capture a document, or as much of it as there is time for; false when none waited."""
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

        turn = _Turn(self._uploads, self._clock, claim, self._lease, self._turn)

        async def hold(after: CaptureJob) -> None:
            await turn.got_on()
            if after.state is not JobState.RUNNING:
                await self._uploads.drop(claim.job_id)

        try:
            with use(context):
                await self._record(actor, job, self._chunks(claim, turn), hold, lambda: self._go_on(turn))
            crashpoint(_CAPTURED)
        except _TakenOver:
            _log.warning("epcis.capture_taken_over", job_id=claim.job_id)
        except (_Paused, _TurnOver) as end:
            behind = isinstance(end, _TurnOver)
            await self._uploads.let_go(claim, self._clock.now(), behind_others=behind)
        except InvalidArgument as error:
            _log.warning("epcis.capture_failed", job_id=claim.job_id, reason=error.reason, exc_info=True)
            await self._fail(claim, job, error.message)

    async def _chunks(self, claim: Claim, turn: _Turn) -> AsyncIterator[bytes]:
        async for chunk in self._uploads.chunks(claim.job_id):
            for at in range(0, len(chunk), _PIECE):
                await self._go_on(turn)
                yield chunk[at : at + _PIECE]

    async def _go_on(self, turn: _Turn) -> None:
        await asyncio.sleep(0)
        if self._stopping:
            raise _Paused
        await turn.goes_on()

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
