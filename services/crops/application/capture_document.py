"""Record a document of any length, batch by batch, as a job that tells how far it is."""

import asyncio
import hashlib
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field, replace
from datetime import timedelta
from uuid import UUID, uuid5

from chassis.clock import Clock
from chassis.context import Principal
from chassis.crashpoints import crashpoint, declare
from chassis.errors import AlreadyExists, DomainError, NotFound
from chassis.transactions import Transactions
from services.crops.application.capture_events import Recorder, candidate
from services.crops.application.epcis_ports import (
    Candidate,
    CaptureError,
    CaptureJob,
    CaptureJobs,
    JobState,
    Outcome,
)
from services.crops.domain.epcis.problems import NotEpcis
from services.crops.domain.epcis.reading import EventReader, ReadEvent, read_events_async

BATCH_EVENTS = 500
BATCH_CHARACTERS = 4_000_000
"""A batch ends with either; so much of a document is in memory, besides the event at hand."""
MOST_ERRORS = 10_000
"""Of one job are kept, the first ones; further ones are only counted."""
KEPT_FOR = timedelta(days=30)
"""So long an ended job can be asked for."""
_FORGOTTEN_AT_ONCE = 20
_BREATHE = 50
_LONGEST_MESSAGE = 1000
_JOBS = UUID("5a0d6f3a-6a55-4f5a-9d6e-3f4a0a7b1c59")


CAPTURE_CRASHPOINTS = ("epcis.batch.recorded", "epcis.batch.committed")
"""Crash points: a batch is written but its transaction is not committed; it is, but nothing came after."""
_RECORDED, _COMMITTED = CAPTURE_CRASHPOINTS
declare(*CAPTURE_CRASHPOINTS)


def owner_of(actor: Principal) -> str:
    """Whose a job is, as "user:<id>"."""
    return f"{actor.kind}:{actor.subject}"


@dataclass(slots=True)
class _Batch:
    candidates: list[Candidate] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    errors: list[CaptureError] = field(default_factory=list)
    characters: int = 0

    @property
    def full(self) -> bool:
        count = len(self.candidates) + len(self.errors)
        return count >= BATCH_EVENTS or self.characters >= BATCH_CHARACTERS

    def add(self, item: ReadEvent, reader: EventReader) -> None:
        """Take an event, or the reason why it is none."""
        if item.event is None:
            self.errors.append(_error(item.index, item.error))
            return
        new = candidate(item.event, reader.context, reader.written_context, reader.ignored)
        self.candidates.append(new)
        self.places.append(item.index)
        self.characters += len(new.text) + len(new.context)


OnBatch = Callable[[CaptureJob], Awaitable[None]]
"""Called in the transaction of each batch with the job as it will be; what it raises undoes the batch."""
Breathe = Callable[[], Awaitable[None]]
"""Called every few events, in no transaction; parsing alone would let no one else run."""


async def _breathe() -> None:
    await asyncio.sleep(0)


class RecordDocument:
    """Records the events of a document, batch by batch, from where its job is."""

    def __init__(self, transactions: Transactions, record: Recorder, jobs: CaptureJobs, clock: Clock) -> None:
        self._transactions = transactions
        self._record = record
        self._jobs = jobs
        self._clock = clock

    async def __call__(
        self,
        actor: Principal,
        job: CaptureJob,
        chunks: AsyncIterable[bytes],
        on_batch: OnBatch,
        breathe: Breathe = _breathe,
    ) -> CaptureJob:
        """The job when the document has been read to its end, or as far as it is one.

        Args:
            actor: captures it.
            job: how far it is; events that are done with are passed over.
            chunks: the document from its beginning.
            on_batch: see `OnBatch`.
            breathe: see `Breathe`.
        """
        reader, batch, failure, hashed = EventReader(skip=job.events_read), _Batch(), "", Hashed(chunks)
        try:
            async for item in read_events_async(hashed, reader):
                if item.index >= job.events_read:
                    batch.add(item, reader)
                if batch.full:
                    job = replace(job, events_read=item.index + 1)
                    job, batch = await self._flush(actor, job, batch, on_batch), _Batch()
                elif item.index % _BREATHE == 0:
                    await breathe()
        except NotEpcis as error:
            failure = error.message[:_LONGEST_MESSAGE]
            await hashed.drain()
        state = JobState.FAILED if failure else JobState.SUCCEEDED
        ended = replace(job, state=state, failure=failure, digest=hashed.digest)
        return await self._flush(actor, ended, batch, on_batch)

    async def _flush(self, actor: Principal, job: CaptureJob, batch: _Batch, on_batch: OnBatch) -> CaptureJob:
        async with self._transactions.transaction():
            outcomes = await self._record(actor, batch.candidates)
            errors, left = [*batch.errors, *_conflicts(batch, outcomes)], max(0, MOST_ERRORS - job.refused)
            job = job.counted(self._clock.now(), outcomes, len(batch.errors))
            await self._jobs.save(job, sorted(errors, key=lambda error: error.index)[:left])
            await on_batch(job)
            crashpoint(_RECORDED)
        crashpoint(_COMMITTED)
        return job


class CaptureDocument:
    """Takes a document as it arrives."""

    def __init__(self, record: RecordDocument, jobs: CaptureJobs, clock: Clock) -> None:
        self._record = record
        self._jobs = jobs
        self._clock = clock

    async def __call__(self, actor: Principal, request_id: str, chunks: AsyncIterable[bytes]) -> CaptureJob:
        """The job when the document has been read; it is named after caller and request_id.

        What was recorded stays when the caller goes away meanwhile; the job can then be repeated.

        Raises:
            AlreadyExists: REQUEST_ID_REUSED.
        """
        owner, now = owner_of(actor), self._clock.now()
        job_id = str(uuid5(_JOBS, f"{owner}|{request_id}"))
        job = await self._jobs.open(CaptureJob(job_id, owner, JobState.RUNNING, now, now))
        if job.state is JobState.RUNNING:
            fresh = CaptureJob(job_id, owner, JobState.RUNNING, job.create_time, now)
            return await self._record(actor, fresh, chunks, _nothing_more)
        hashed = Hashed(chunks)
        await hashed.drain()
        if hashed.digest != job.digest:
            raise AlreadyExists("REQUEST_ID_REUSED", "The request_id was used for another document.")
        return job


async def _nothing_more(job: CaptureJob) -> None:
    pass


class Hashed:
    """Chunks that are hashed as they pass."""

    def __init__(self, chunks: AsyncIterable[bytes]) -> None:
        self._chunks = chunks.__aiter__()
        self._hash = hashlib.sha256()

    @property
    def digest(self) -> bytes:
        return self._hash.digest()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._chunks:
            self._hash.update(chunk)
            yield chunk

    async def drain(self) -> None:
        async for _ in self:
            pass


class ForgetJobs:
    """Drops what ended long ago; what was captured stays."""

    def __init__(self, jobs: CaptureJobs, clock: Clock) -> None:
        self._jobs = jobs
        self._clock = clock

    async def __call__(self) -> bool:
        """Whether there may be more of them."""
        before = self._clock.now() - KEPT_FOR
        return await self._jobs.forget(before, _FORGOTTEN_AT_ONCE) == _FORGOTTEN_AT_ONCE


class ReadJobs:
    """A job is its owner's own affair."""

    def __init__(self, jobs: CaptureJobs) -> None:
        self._jobs = jobs

    async def get(self, actor: Principal, job_id: str) -> CaptureJob:
        """A job.

        Raises:
            NotFound: CAPTURE_JOB_NOT_FOUND, also for somebody else's.
        """
        job = await self._jobs.get(job_id)
        if job is None or job.owner != owner_of(actor):
            raise NotFound("CAPTURE_JOB_NOT_FOUND", "You have no such capture job.")
        return job

    async def errors(self, actor: Principal, job_id: str, after: int, limit: int) -> list[CaptureError]:
        """The refused events of a job behind a place, in order.

        Raises:
            NotFound: CAPTURE_JOB_NOT_FOUND.
        """
        await self.get(actor, job_id)
        return list(await self._jobs.errors(job_id, after, limit))


def _conflicts(batch: _Batch, outcomes: list[Outcome]) -> list[CaptureError]:
    pairs = zip(batch.places, outcomes, strict=True)
    return [replace(outcome.error, index=place) for place, outcome in pairs if outcome.error is not None]


def _error(index: int, error: DomainError | None) -> CaptureError:
    if error is None:
        raise ValueError("an event that was read is no error")
    return CaptureError(index, error.reason, error.message[:_LONGEST_MESSAGE])
