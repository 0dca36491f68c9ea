"""The RPCs of visibility events over real use cases."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest

from chassis.clock import SystemClock
from chassis.context import RequestContext, use
from chassis.database import Database
from chassis.errors import AlreadyExists, InvalidArgument, NotFound
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from chassis.paging import PageTokens
from greenledger.crops.v1 import epcis_pb2 as pb
from services.crops.adapters.epcis_grpc import EpcisServicer
from services.crops.adapters.epcis_jobs import StoredJobs
from services.crops.adapters.epcis_query import IndexedVisibilityEvents
from services.crops.adapters.epcis_store import StoredVisibilityEvents
from services.crops.adapters.epcis_uploads import StoredUploads
from services.crops.adapters.lot_histories import StoredLotHistories
from services.crops.application.capture_document import CaptureDocument, ReadJobs, RecordDocument
from services.crops.application.capture_events import CaptureEvent, Recorder
from services.crops.application.export_lot import ExportLot
from services.crops.application.read_epcis import ReadEpcis
from services.crops.application.upload_document import DocumentParts
from tests.integration.crops.conftest import Crops, user
from tests.unit.crops.lots import GROWER
from tests.unit.epcis import corpus

NO_CONTEXT: Any = None


@pytest.fixture
def epcis(idle_crops: Crops) -> EpcisServicer:
    database: Database = idle_crops.database
    clock = SystemClock()
    record = Recorder(
        database, StoredVisibilityEvents(database, idle_crops.store, Outbox("crops")), clock, SystemIds()
    )
    jobs = StoredJobs(database)
    return EpcisServicer(
        CaptureEvent(record),
        CaptureDocument(RecordDocument(database, record, jobs, clock), jobs, clock),
        DocumentParts(database, jobs, StoredUploads(database), clock, lambda: None),
        ReadJobs(jobs),
        ReadEpcis(IndexedVisibilityEvents(database)),
        ExportLot(StoredLotHistories(idle_crops.store), clock),
        PageTokens(b"0123456789abcdef"),
    )


def _document(count: int, **fields: Any) -> bytes:
    return json.dumps(
        corpus.document(*(corpus.event(eventID=f"urn:x-test:{n}", **fields) for n in range(count)))
    ).encode()


async def _pieces(request_ids: list[str], raw: bytes) -> AsyncIterator[pb.CaptureDocumentRequest]:
    size = len(raw) // len(request_ids) + 1
    for number, request_id in enumerate(request_ids):
        yield pb.CaptureDocumentRequest(request_id=request_id, chunk=raw[number * size : (number + 1) * size])


async def test_a_document_is_captured_in_pieces_and_its_events_are_paged(epcis: EpcisServicer) -> None:
    with use(RequestContext(principal=user(GROWER))):
        pieces = _pieces([str(uuid4())] * 7, _document(5, bizStep="shipping"))
        job = await epcis.CaptureDocument(pieces, NO_CONTEXT)
        assert (job.state, job.captured) == (pb.CAPTURE_STATE_SUCCEEDED, 5)
        assert await epcis.GetCaptureJob(pb.GetCaptureJobRequest(job_id=job.job_id), NO_CONTEXT) == job
    request = pb.QueryEventsRequest(page_size=2)
    request.parameters.update({"EQ_bizStep": ["shipping"]})
    seen = []
    while True:
        page = await epcis.QueryEvents(request, NO_CONTEXT)
        seen += [event.event_id for event in page.events]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == [f"urn:x-test:{number}" for number in range(5)]
    request.parameters.update({"EQ_bizStep": ["receiving"]})
    request.page_token = (
        await epcis.QueryEvents(pb.QueryEventsRequest(page_size=1), NO_CONTEXT)
    ).next_page_token
    with pytest.raises(InvalidArgument, match="page_token"):
        await epcis.QueryEvents(request, NO_CONTEXT)


async def test_the_errors_of_a_job_are_paged_in_the_documents_order(epcis: EpcisServicer) -> None:
    with use(RequestContext(principal=user(GROWER))):
        job = await epcis.CaptureDocument(_pieces([str(uuid4())], _document(3, action="EAT")), NO_CONTEXT)
        assert job.refused == 3
        request = pb.ListCaptureErrorsRequest(job_id=job.job_id, page_size=2)
        first = await epcis.ListCaptureErrors(request, NO_CONTEXT)
        request.page_token = first.next_page_token
        second = await epcis.ListCaptureErrors(request, NO_CONTEXT)
    assert [error.index for error in [*first.errors, *second.errors]] == [0, 1, 2]
    assert not second.next_page_token


async def test_one_stream_has_one_request_id_and_something_in_it(epcis: EpcisServicer) -> None:
    with use(RequestContext(principal=user(GROWER))):
        with pytest.raises(InvalidArgument, match="same in every message"):
            await epcis.CaptureDocument(_pieces([str(uuid4()), str(uuid4())], _document(1)), NO_CONTEXT)
        with pytest.raises(InvalidArgument, match="Nothing"):
            await epcis.CaptureDocument(_nothing(), NO_CONTEXT)


async def _nothing() -> AsyncIterator[pb.CaptureDocumentRequest]:
    nothing: list[pb.CaptureDocumentRequest] = []
    for request in nothing:
        yield request


async def test_an_event_is_captured_read_and_judged(epcis: EpcisServicer) -> None:
    text = json.dumps(corpus.event(eventID="urn:x-test:1", bizStep="receiving", epcList=["urn:epc:id:x:1"]))
    with use(RequestContext(principal=user(GROWER))):
        request = pb.CaptureEventRequest(request_id=str(uuid4()), document=text)
        captured = await epcis.CaptureEvent(request, NO_CONTEXT)
        request.document = text.replace("receiving", "shipping")
        with pytest.raises(AlreadyExists):
            await epcis.CaptureEvent(request, NO_CONTEXT)
    assert captured.findings
    event = await epcis.GetEvent(pb.GetEventRequest(event_id="urn:x-test:1"), NO_CONTEXT)
    assert json.loads(event.document) == json.loads(text)
    assert (event.captured_by, event.ledger_event_id) == (f"user:{GROWER}", captured.ledger_event_id)
    listed = await epcis.ListFindings(
        pb.ListFindingsRequest(event_id="urn:x-test:1", page_size=100), NO_CONTEXT
    )
    assert [found.code for found in listed.findings] == [found.code for found in captured.findings]
    severe = pb.ListFindingsRequest(severity=pb.FINDING_SEVERITY_ERROR)
    assert not (await epcis.ListFindings(severe, NO_CONTEXT)).findings
    with pytest.raises(NotFound):
        await epcis.GetEvent(pb.GetEventRequest(event_id="urn:x-test:2"), NO_CONTEXT)
