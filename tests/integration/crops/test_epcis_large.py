"""Documents that are large in every way are captured, with memory that does not grow with them."""

import json
import resource
from collections.abc import AsyncIterator, Iterator, Sequence
from uuid import uuid4

import pytest

from chassis.clock import SystemClock
from chassis.context import Principal
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from services.crops.adapters.epcis_jobs import StoredJobs
from services.crops.adapters.epcis_store import StoredVisibilityEvents
from services.crops.application.capture_document import (
    BATCH_CHARACTERS,
    BATCH_EVENTS,
    CaptureDocument,
    RecordDocument,
)
from services.crops.application.capture_events import Recorder
from services.crops.application.epcis_ports import Candidate, JobState, Outcome
from tests.integration.crops.conftest import Crops
from tests.unit.epcis import corpus

PARTNER = Principal("11111111-1111-4111-8111-111111111111", "user")
PIECE = 65_536
MOST_GROWTH_MB = 120
"""Generous: a batch of 4 MB as text is some tens of MB as objects, rows and messages."""


class Watching(Recorder):
    """A recorder that notes how much is in hand at once."""

    most_events = 0
    most_characters = 0

    async def __call__(self, actor: Principal, batch: Sequence[Candidate]) -> list[Outcome]:
        self.most_events = max(self.most_events, len(batch))
        characters = sum(len(each.text) + len(each.context) for each in batch)
        self.most_characters = max(self.most_characters, characters)
        return await super().__call__(actor, batch)


class Capture:
    """The use case on a database, with eyes on what it holds."""

    def __init__(self, crops: Crops) -> None:
        database, clock = crops.database, SystemClock()
        events = StoredVisibilityEvents(database, crops.store, Outbox("crops"))
        self.watching = Watching(database, events, clock, SystemIds())
        jobs = StoredJobs(database)
        self.document = CaptureDocument(RecordDocument(database, self.watching, jobs, clock), jobs, clock)


@pytest.fixture
def capture(idle_crops: Crops) -> Capture:
    return Capture(idle_crops)


def _pieces(events: int, filling: int = 0) -> Iterator[bytes]:
    head, _, tail = json.dumps(corpus.document(_event(0, filling))).partition(_bare(0, filling))
    waiting = bytearray(head.encode())
    for number in range(events):
        waiting += ("," * (number > 0) + _bare(number, filling)).encode()
        while len(waiting) >= PIECE:
            yield bytes(waiting[:PIECE])
            del waiting[:PIECE]
    yield bytes(waiting) + tail.encode()


def _event(number: int, filling: int) -> dict[str, object]:
    lot = f"https://example.com/lot/{number % 1000}"
    more = {"ex:note": "x" * filling} if filling else {}
    return corpus.event(eventID=f"urn:x-test:{number}", epcList=[lot], **more)


def _bare(number: int, filling: int) -> str:
    return json.dumps({name: value for name, value in _event(number, filling).items() if name != "@context"})


async def _arriving(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def test_a_document_of_many_megabytes_is_held_a_batch_at_a_time(capture: Capture) -> None:
    events, filling = 120, 200_000
    job = await capture.document(PARTNER, str(uuid4()), _arriving(_pieces(events, filling)))
    assert (job.state, job.captured) == (JobState.SUCCEEDED, events)
    assert events * filling > 5 * BATCH_CHARACTERS
    assert capture.watching.most_characters < BATCH_CHARACTERS + 2 * filling


async def test_hostile_events_are_refused_by_field_or_flagged_and_the_honest_ones_are_captured(
    capture: Capture, idle_crops: Crops
) -> None:
    def counted(written: str) -> str:
        goods = [{"epcClass": "urn:epc:class:lgtin:4012345.012345.A", "quantity": 777777, "uom": "KGM"}]
        return json.dumps(corpus.event(quantityList=goods)).replace("777777", written)

    lot = "https://example.com/lot/ouroboros"
    circle = corpus.event(
        type="TransformationEvent", action=None, epcList=None, inputEPCList=[lot], outputEPCList=[lot]
    )
    hostile = {
        "/quantityList/0/quantity": [counted(each) for each in ("NaN", "Infinity", "-1", "9007199254740993")],
        "nested deeper": [
            json.dumps(corpus.event(**{"ex:deep": 777777})).replace("777777", "[" * 99 + "]" * 99)
        ],
        "a context has at most": [json.dumps(corpus.event() | {"@context": {"p": ["x" * 20_000]}})],
        "has more than": [json.dumps(corpus.event(**{"ex:long": "x" * (10 << 20)}))],
    }
    refused = [(told, event) for told, events in hostile.items() for event in events]
    events = [*(event for _, event in refused), json.dumps(circle), json.dumps(_event(1, 0))]
    whole = {**corpus.document(), "epcisBody": {"eventList": ["HERE"]}}
    document = json.dumps(whole).replace('"HERE"', ",".join(events)).encode()
    pieces = (document[at : at + PIECE] for at in range(0, len(document), PIECE))
    job = await capture.document(PARTNER, str(uuid4()), _arriving(pieces))
    assert (job.state, job.captured, job.refused) == (JobState.SUCCEEDED, 2, len(refused))
    errors = await StoredJobs(idle_crops.database).errors(job.job_id, -1, 100)
    for (told, _), error in zip(refused, errors, strict=True):
        assert error.reason == "EPCIS_INVALID"
        assert told in error.message
    codes = [row["code"] for row in await idle_crops.dump("epcis_finding")]
    assert "TRANSFORMATION_CYCLE" in codes


@pytest.mark.slow
@pytest.mark.timeout(900)
async def test_a_document_of_a_hundred_thousand_events_is_captured_in_bounded_memory(
    capture: Capture,
) -> None:
    warm = await capture.document(PARTNER, str(uuid4()), _arriving(_pieces(2 * BATCH_EVENTS)))
    assert warm.state is JobState.SUCCEEDED
    before = _peak_mb()
    job = await capture.document(PARTNER, str(uuid4()), _arriving(_pieces(100_000)))
    assert (job.state, job.captured, job.refused) == (JobState.SUCCEEDED, 99_000, 0)
    assert job.duplicates == 2 * BATCH_EVENTS
    assert capture.watching.most_events == BATCH_EVENTS
    assert _peak_mb() - before < MOST_GROWTH_MB
