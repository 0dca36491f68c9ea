"""Documents in parts: kept within bounds, captured whoever dies, each event once, given up if need be."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from chassis import crashpoints
from chassis.clock import Clock, FixedClock, SystemClock
from chassis.context import Principal, RequestContext, use
from chassis.crashpoints import CrashpointHit
from chassis.database import Database
from chassis.errors import (
    AlreadyExists,
    FailedPrecondition,
    InvalidArgument,
    NotFound,
    ResourceExhausted,
)
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from chassis.testing import eventually
from services.crops.adapters.epcis_jobs import StoredJobs
from services.crops.adapters.epcis_store import StoredVisibilityEvents
from services.crops.adapters.epcis_uploads import StoredUploads
from services.crops.application import capture_document, upload_document
from services.crops.application.capture_document import (
    BATCH_EVENTS,
    CAPTURE_CRASHPOINTS,
    KEPT_FOR,
    ForgetJobs,
    ReadJobs,
    RecordDocument,
)
from services.crops.application.capture_events import Recorder
from services.crops.application.capture_uploads import (
    ABANDONED_AFTER,
    MOST_ATTEMPTS,
    TURN,
    UPLOAD_CRASHPOINTS,
    CaptureUploads,
)
from services.crops.application.epcis_ports import CaptureJob, JobState
from services.crops.application.upload_document import MOST_UNDER_WAY, DocumentParts
from tests.integration.crops.conftest import Crops, user
from tests.unit.crops.lots import BUYER, GROWER
from tests.unit.epcis import corpus

GROWERS = user(GROWER)


class TickingClock(FixedClock):
    """Time that passes with each look at the clock, and so does not depend on how quick the machine is."""

    def now(self) -> datetime:
        self.advance(timedelta(milliseconds=10))
        return super().now()


class Process:
    """The use cases of one process on the database of `crops`."""

    def __init__(
        self,
        crops: Crops,
        clock: Clock,
        lease: timedelta,
        turn: timedelta = TURN,
        uploads: StoredUploads | None = None,
    ) -> None:
        database = crops.database
        jobs, uploads = StoredJobs(database), uploads or StoredUploads(database)
        events = StoredVisibilityEvents(database, crops.store, Outbox("crops"))
        record = RecordDocument(database, Recorder(database, events, clock, SystemIds()), jobs, clock)
        self.database, self.uploads = database, uploads
        poll = timedelta(milliseconds=50)
        self.loop = CaptureUploads(database, record, jobs, uploads, clock, lease=lease, poll=poll, turn=turn)
        self.parts = DocumentParts(database, jobs, uploads, clock, self.loop.wakeup.notify)
        self.read = ReadJobs(jobs)

    async def sent(self, document: bytes, parts: int, owner: Principal = GROWERS) -> str:
        """A document in so many parts, complete."""
        job_id = (await self.parts.create(owner, str(uuid4()))).job_id
        size = len(document) // parts + 1
        for index in reversed(range(parts)):
            await self.parts.add(owner, job_id, index, document[index * size : (index + 1) * size])
        await self.parts.finish(owner, job_id, parts)
        return job_id

    async def job(self, job_id: str, owner: Principal = GROWERS) -> CaptureJob:
        return await self.read.get(owner, job_id)

    async def count(self, table: str) -> int:
        return int(await self.database.fetchval(f"SELECT count(*) FROM {table}"))


@pytest.fixture
def process(idle_crops: Crops) -> Process:
    return Process(idle_crops, SystemClock(), timedelta(seconds=30))


def _document(events: int, bad: Sequence[int] = ()) -> bytes:
    def event(number: int) -> dict[str, Any]:
        return corpus.event(
            eventID=f"urn:x-test:{number}",
            epcList=[f"https://example.com/lot/{number}"],
            action="EAT" if number in bad else "OBSERVE",
        )

    return json.dumps(corpus.document(*map(event, range(events)))).encode()


async def test_a_document_in_parts_is_captured_as_if_it_had_come_at_once(process: Process) -> None:
    document = _document(7, bad=[3])
    job_id = await process.sent(document, 5)
    waiting = await process.job(job_id)
    assert (waiting.state, waiting.parts, waiting.size) == (JobState.RUNNING, 5, len(document))
    assert await process.loop.once()
    job = await process.job(job_id)
    assert (job.state, job.captured, job.refused) == (JobState.SUCCEEDED, 6, 1)
    [error] = await process.read.errors(GROWERS, job_id, -1, 10)
    assert error.index == 3
    assert (await process.count("epcis_upload"), await process.count("epcis_upload_part")) == (0, 0)
    assert not await process.loop.once()


async def test_what_was_captured_names_who_sent_it_and_the_request(process: Process) -> None:
    with use(RequestContext(correlation_id="c-1", principal=GROWERS)):
        await process.sent(_document(1), 1)
    await process.loop.once()
    meta = json.loads(
        await process.database.fetchval("SELECT meta FROM event WHERE stream_id LIKE 'epcis:%'")
    )
    assert (meta["actor"], meta["correlation_id"]) == (f"user:{GROWER}", "c-1")


async def test_a_small_document_is_captured_by_one_request_and_its_repetition_finds_the_job(
    process: Process,
) -> None:
    request_id, document = str(uuid4()), _document(2)
    jobs = await asyncio.gather(*(process.parts.create(GROWERS, request_id, document) for _ in range(4)))
    assert len({job.job_id for job in jobs}) == 1
    while await process.loop.once():
        pass
    job = await process.parts.create(GROWERS, request_id, document)
    assert (job.state, job.captured, job.duplicates) == (JobState.SUCCEEDED, 2, 0)
    with pytest.raises(AlreadyExists) as caught:
        await process.parts.create(GROWERS, request_id, document + b" ")
    assert caught.value.reason == "REQUEST_ID_REUSED"


async def test_parts_come_in_any_order_and_again_but_not_changed(process: Process) -> None:
    request_id = str(uuid4())
    job_id = (await process.parts.create(GROWERS, request_id)).job_id
    assert (await process.parts.create(GROWERS, request_id)).job_id == job_id
    for index in (1, 1, 0):
        job = await process.parts.add(GROWERS, job_id, index, b"xy")
    assert (job.parts, job.size) == (2, 4)
    with pytest.raises(AlreadyExists) as changed:
        await process.parts.add(GROWERS, job_id, 1, b"xz")
    assert changed.value.reason == "CAPTURE_PART_CONFLICT"
    with pytest.raises(FailedPrecondition) as missing:
        await process.parts.finish(GROWERS, job_id, 4)
    assert (missing.value.reason, missing.value.metadata) == ("CAPTURE_PARTS_MISSING", {"parts": "2, 3"})
    with pytest.raises(InvalidArgument):
        await process.parts.finish(GROWERS, job_id, 1)
    finished = [await process.parts.finish(GROWERS, job_id, 2) for _ in range(2)]
    assert finished[0] == finished[1]
    with pytest.raises(FailedPrecondition) as closed:
        await process.parts.add(GROWERS, job_id, 2, b"z")
    assert closed.value.reason == "CAPTURE_NOT_OPEN"
    assert await process.loop.once()
    assert (await process.job(job_id)).state is JobState.FAILED, "xyxy is no document"


async def test_a_document_is_its_owners_own_affair(process: Process) -> None:
    job_id = (await process.parts.create(GROWERS, str(uuid4()))).job_id
    for stranger in (user(BUYER), Principal(GROWER, "service")):
        with pytest.raises(NotFound):
            await process.parts.add(stranger, job_id, 0, b"x")
        with pytest.raises(NotFound):
            await process.parts.finish(stranger, job_id, 1)


async def test_what_is_kept_of_one_owner_is_bounded(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_document, "MOST_BYTES", 10)
    outcomes = await asyncio.gather(
        *(process.parts.create(GROWERS, str(uuid4())) for _ in range(MOST_UNDER_WAY + 3)),
        return_exceptions=True,
    )
    refused = [each for each in outcomes if isinstance(each, ResourceExhausted)]
    assert len(refused) == 3
    assert {each.reason for each in refused} == {"CAPTURE_TOO_MANY"}
    await process.parts.create(user(BUYER), str(uuid4()))
    [job_id, *_] = [each.job_id for each in outcomes if isinstance(each, CaptureJob)]
    await process.parts.add(GROWERS, job_id, 0, b"12345")
    with pytest.raises(InvalidArgument) as large:
        await process.parts.add(GROWERS, job_id, 1, b"678901")
    assert large.value.reason == "CAPTURE_TOO_LARGE"
    assert (await process.job(job_id)).size == 5
    assert (await process.parts.add(GROWERS, job_id, 1, b"67890")).size == 10


@pytest.mark.parametrize("point", [*CAPTURE_CRASHPOINTS, f"{CAPTURE_CRASHPOINTS[0]}@2", *UPLOAD_CRASHPOINTS])
async def test_a_process_that_dies_anywhere_leaves_a_job_that_another_one_ends_with_each_event_once(
    idle_crops: Crops, point: str
) -> None:
    clock = FixedClock(SystemClock().now())
    dying, heir = (Process(idle_crops, clock, timedelta(seconds=30)) for _ in range(2))
    events = BATCH_EVENTS * 2 + 7
    job_id = await dying.sent(_document(events, bad=[1]), 3)
    name, at, hit = point.partition("@")
    crashpoints.arm(f"{name}:throw{at}{hit}")
    try:
        with pytest.raises(CrashpointHit):
            await dying.loop.once()
    finally:
        crashpoints.disarm()
    assert not await heir.loop.once() or point == UPLOAD_CRASHPOINTS[1], "the dead one's lease lasts"
    clock.advance(timedelta(seconds=31))
    await heir.loop.once()
    job = await heir.job(job_id)
    assert (job.state, job.captured, job.duplicates, job.refused) == (JobState.SUCCEEDED, events - 1, 0, 1)
    assert await heir.count("epcis_event") == await heir.count("outbox") == events - 1


async def test_a_process_that_lost_its_lease_records_nothing_more(idle_crops: Crops) -> None:
    slow, quick = (Process(idle_crops, SystemClock(), timedelta(0)) for _ in range(2))
    events = BATCH_EVENTS * 3
    job_id = await slow.sent(_document(events), 1)
    outcomes = await asyncio.gather(slow.loop.once(), quick.loop.once(), return_exceptions=True)
    while await quick.loop.once():
        pass
    job = await quick.job(job_id)
    assert (job.state, job.captured, job.duplicates) == (JobState.SUCCEEDED, events, 0), outcomes
    assert await quick.count("outbox") == events


async def test_a_process_that_ends_leaves_the_rest_of_a_document_to_the_next(idle_crops: Crops) -> None:
    first, second = (Process(idle_crops, SystemClock(), timedelta(hours=1)) for _ in range(2))
    job_id = await first.sent(_document(BATCH_EVENTS * 3), 60)
    running = asyncio.create_task(first.loop.run())
    await eventually(lambda: first.count("epcis_event"), 20)
    await first.loop.stop()
    await running
    await second.loop.once()
    job = await second.job(job_id)
    assert (job.state, job.captured, job.duplicates) == (JobState.SUCCEEDED, BATCH_EVENTS * 3, 0)


async def test_a_document_that_nobody_can_capture_is_given_up(idle_crops: Crops) -> None:
    clock = FixedClock(SystemClock().now())
    process = Process(idle_crops, clock, timedelta(seconds=30))
    job_id = await process.sent(_document(2), 1)
    for _ in range(MOST_ATTEMPTS):
        crashpoints.arm(f"{CAPTURE_CRASHPOINTS[0]}:throw")
        with pytest.raises(CrashpointHit):
            await process.loop.once()
        clock.advance(timedelta(seconds=31))
    crashpoints.disarm()
    assert await process.loop.once()
    job = await process.job(job_id)
    assert (job.state, job.captured) == (JobState.FAILED, 0)
    assert "given up" in job.failure
    assert await process.count("epcis_upload") == 0


class SlowUploads(StoredUploads):
    """Each part takes its time; the last readable one may be followed by the end of the process."""

    def __init__(self, database: Database, clock: FixedClock, each: timedelta, most: int = 1000) -> None:
        super().__init__(database)
        self._clock, self._each, self.most = clock, each, most

    async def chunks(self, job_id: str) -> AsyncIterator[bytes]:
        number = 0
        async for chunk in super().chunks(job_id):
            now = self._clock.now()
            assert await StoredUploads(self._database).claim(now, now) is None, "it is held while it is read"
            self._clock.advance(self._each)
            if (number := number + 1) > self.most:
                raise RuntimeError("the process died")
            yield chunk


async def test_a_document_is_held_however_long_it_takes_to_read_it(idle_crops: Crops) -> None:
    clock = FixedClock(SystemClock().now())
    slow = SlowUploads(idle_crops.database, clock, timedelta(seconds=12))
    process = Process(idle_crops, clock, timedelta(seconds=30), uploads=slow)
    events = BATCH_EVENTS + 7
    job_id = await process.sent(_document(events), 12)
    assert await process.loop.once()
    job = await process.job(job_id)
    assert (job.state, job.captured, job.duplicates) == (JobState.SUCCEEDED, events, 0)


async def test_a_document_that_kills_whoever_finds_its_place_in_it_is_given_up(idle_crops: Crops) -> None:
    clock = FixedClock(SystemClock().now())
    slow = SlowUploads(idle_crops.database, clock, timedelta(seconds=12), most=8)
    process = Process(idle_crops, clock, timedelta(seconds=30), uploads=slow)
    job_id = await process.sent(_document(20), 12)
    for _ in range(MOST_ATTEMPTS):
        with pytest.raises(RuntimeError):
            await process.loop.once()
        clock.advance(timedelta(seconds=31))
    assert await process.loop.once()
    assert "given up" in (await process.job(job_id)).failure


async def test_a_long_document_lets_others_have_their_turn(idle_crops: Crops) -> None:
    process = Process(idle_crops, TickingClock(), timedelta(hours=1), turn=timedelta(0))
    events = BATCH_EVENTS * 3 + 7
    long = await process.sent(_document(events, bad=[1]), 60)
    short = await process.sent(_document(2), 1, user(BUYER))
    assert await process.loop.once()
    assert await process.loop.once()
    assert (await process.job(short, user(BUYER))).state is JobState.SUCCEEDED
    job = await process.job(long)
    assert job.state is JobState.RUNNING
    assert BATCH_EVENTS <= job.events_read < events
    assert await process.loop.once()
    job = await process.job(long)
    assert (job.state, job.refused, job.captured + job.duplicates) == (JobState.SUCCEEDED, 1, events - 1)
    assert not await process.loop.once(), "alone it is captured to its end"


async def test_each_owner_has_a_turn_before_another_has_a_second(process: Process) -> None:
    first = [await process.sent(_document(1), 1) for _ in range(3)]
    other = await process.sent(_document(1), 1, user(BUYER))
    now = SystemClock().now()
    claims = [await process.uploads.claim(now, now + timedelta(hours=1)) for _ in range(5)]
    assert [claim and claim.job_id for claim in claims] == [first[0], other, *first[1:], None]


async def test_a_document_whose_parts_stop_coming_is_forgotten(idle_crops: Crops) -> None:
    clock = FixedClock(SystemClock().now())
    process = Process(idle_crops, clock, timedelta(seconds=30))
    job_id = (await process.parts.create(GROWERS, str(uuid4()))).job_id
    await process.parts.add(GROWERS, job_id, 0, b"{")
    clock.advance(ABANDONED_AFTER - timedelta(minutes=1))
    await process.loop.once()
    assert (await process.job(job_id)).state is JobState.UPLOADING
    clock.advance(timedelta(minutes=2))
    await process.loop.once()
    assert (await process.job(job_id)).state is JobState.FAILED
    assert await process.count("epcis_upload_part") == 0


async def test_of_very_many_errors_the_first_are_kept_and_an_old_job_is_forgotten(
    process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_document, "MOST_ERRORS", 7)
    monkeypatch.setattr(capture_document, "BATCH_EVENTS", 5)
    job_id = await process.sent(_document(20, bad=range(20)), 1)
    open_id = (await process.parts.create(GROWERS, str(uuid4()))).job_id
    await process.loop.once()
    job = await process.job(job_id)
    assert (job.state, job.refused) == (JobState.SUCCEEDED, 20)
    assert [each.index for each in await process.read.errors(GROWERS, job_id, -1, 100)] == list(range(7))
    later = FixedClock(job.update_time + KEPT_FOR)
    forget = ForgetJobs(StoredJobs(process.database), later)
    assert not await forget()
    assert await process.job(job_id) == job
    later.advance(timedelta(days=1))
    assert not await forget()
    with pytest.raises(NotFound):
        await process.job(job_id)
    assert await process.count("epcis_job_error") == 0
    assert (await process.job(open_id)).state is JobState.UPLOADING
