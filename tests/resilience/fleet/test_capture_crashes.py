"""SIGKILL in the middle of a document: its job goes on in the next process, each event is captured once."""

import json
from contextlib import suppress
from typing import Any

import pytest

from chassis import crashpoints
from chassis.testing import eventually
from fleet.client import CallFailed
from fleet.testing.live import LiveFleet
from greenledger.crops.v1 import epcis_pb2 as pb
from services.crops.application.capture_document import BATCH_EVENTS, CAPTURE_CRASHPOINTS
from services.crops.application.capture_uploads import UPLOAD_CRASHPOINTS
from tests.resilience.fleet.crashes import keep_dying, wait_for_its_death
from tests.resilience.fleet.market import Market, new_id
from tests.unit.epcis import corpus

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

EVENTS = BATCH_EVENTS + 50
PARTS = 3
POINTS = [*UPLOAD_CRASHPOINTS, *(f"{point}@{hit}" for point in CAPTURE_CRASHPOINTS for hit in (1, 2))]


async def test_every_crash_point_of_capture_has_its_case() -> None:
    tried = {point.partition("@")[0] for point in POINTS}
    assert tried == {point for point in crashpoints.declared() if point.startswith("epcis.")}


@pytest.mark.parametrize("point", POINTS)
async def test_a_document_survives_a_killed_crops(market: Market, live: LiveFleet, point: str) -> None:
    await live.restart("crops", point)
    job_id, prefix = await _sent(market)
    await wait_for_its_death(live, "crops")
    await live.start_service("crops")
    await _captured_once(market, job_id, prefix)


async def test_a_document_survives_a_crops_that_dies_once_a_batch(market: Market, live: LiveFleet) -> None:
    recorded, committed = CAPTURE_CRASHPOINTS
    await live.restart("crops", committed)
    job_id, prefix = await _sent(market)
    await wait_for_its_death(live, "crops")
    await keep_dying(live, "crops", recorded, times=2)
    await live.start_service("crops")
    await _captured_once(market, job_id, prefix)


async def _sent(market: Market) -> tuple[str, str]:
    """A document in parts, and what its events' ids begin with."""
    crops, prefix = market.live.rpc("crops"), f"urn:x-test:{new_id()}:"
    events = [
        corpus.event(eventID=f"{prefix}{number}", epcList=[f"https://example.com/lot/{number}"])
        for number in range(EVENTS)
    ]
    document = json.dumps(corpus.document(*events)).encode()
    begun = pb.CreateCaptureJobRequest(request_id=new_id())
    job = await crops.call(crops.epcis.CreateCaptureJob, begun, market.grower)
    size = len(document) // PARTS + 1
    for index in range(PARTS):
        chunk = document[index * size : (index + 1) * size]
        part = pb.AddCapturePartRequest(job_id=job.job_id, index=index, chunk=chunk)
        await crops.call(crops.epcis.AddCapturePart, part, market.grower)
    done = pb.FinishCaptureJobRequest(job_id=job.job_id, parts=PARTS)
    # The service may die before it has answered: what counts is what the job says in the end.
    with suppress(CallFailed):
        await crops.call(crops.epcis.FinishCaptureJob, done, market.grower)
    return job.job_id, prefix


async def _captured_once(market: Market, job_id: str, prefix: str) -> None:
    live = market.live

    async def ended() -> pb.CaptureJob | None:
        crops = live.rpc("crops")
        job = await crops.call(
            crops.epcis.GetCaptureJob, pb.GetCaptureJobRequest(job_id=job_id), market.grower
        )
        return job if job.state != pb.CAPTURE_STATE_RUNNING else None

    job = await eventually(ended, 60)
    assert job is not None
    assert (job.state, job.captured, job.duplicates) == (pb.CAPTURE_STATE_SUCCEEDED, EVENTS, 0)
    for where, column in (("epcis_event", "event_id"), ("outbox", "key")):
        found: Any = await live.fetchval(
            "crops", f"SELECT count(*) FROM {where} WHERE {column} LIKE $1 || '%'", prefix
        )
        assert found == EVENTS, where
