"""The RPCs of visibility events: decode, call the use case, encode."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import grpc.aio
from google.protobuf.json_format import MessageToDict

from chassis.context import caller
from chassis.errors import InvalidArgument
from chassis.paging import PageTokens, page_size
from chassis.protobuf import timestamp_to_proto
from greenledger.crops.v1 import epcis_pb2 as pb
from greenledger.crops.v1 import epcis_pb2_grpc
from services.crops.adapters.codec import id_from_proto
from services.crops.application.capture_document import CaptureDocument, ReadJobs
from services.crops.application.capture_events import CaptureEvent
from services.crops.application.epcis_ports import CapturedEvent, CaptureJob, FindingFilter
from services.crops.application.export_lot import ExportLot
from services.crops.application.read_epcis import ReadEpcis
from services.crops.application.upload_document import DocumentParts
from services.crops.domain.epcis.findings import Finding, Severity

Context = grpc.aio.ServicerContext[Any, Any]
_MOST_FINDINGS = 1000
_SEVERITIES = {each: pb.FindingSeverity.Value(f"FINDING_SEVERITY_{each.value}") for each in Severity}
_SEVERITIES_FROM = {number: severity for severity, number in _SEVERITIES.items()}


class EpcisServicer(epcis_pb2_grpc.EpcisServiceServicer):
    """Capture and query."""

    def __init__(
        self,
        capture: CaptureEvent,
        capture_document: CaptureDocument,
        parts: DocumentParts,
        jobs: ReadJobs,
        read: ReadEpcis,
        export: ExportLot,
        page_tokens: PageTokens,
    ) -> None:
        self._capture = capture
        self._capture_document = capture_document
        self._parts = parts
        self._jobs = jobs
        self._read = read
        self._export = export
        self._page_tokens = page_tokens

    async def CaptureEvent(
        self, request: pb.CaptureEventRequest, context: Context
    ) -> pb.CaptureEventResponse:
        outcome = await self._capture(caller(), request.document)
        return pb.CaptureEventResponse(
            event_id=outcome.event_id,
            event_hash=outcome.event_hash,
            duplicate=outcome.duplicate,
            ledger_event_id=outcome.ledger_event_id,
            findings=[_finding(each) for each in outcome.findings[:_MOST_FINDINGS]],
        )

    async def CaptureDocument(
        self, requests: AsyncIterator[pb.CaptureDocumentRequest], context: Context
    ) -> pb.CaptureJob:
        first = await anext(requests, None)
        if first is None:
            raise InvalidArgument("EPCIS_INVALID", "Nothing was sent.")
        chunks = _chunks(first, requests)
        return _job(await self._capture_document(caller(), id_from_proto(first.request_id), chunks))

    async def CreateCaptureJob(self, request: pb.CreateCaptureJobRequest, context: Context) -> pb.CaptureJob:
        document = request.document.encode()
        job = await self._parts.create(caller(), id_from_proto(request.request_id), document)
        # The edge answers 202 to whoever is told where the work is.
        await context.send_initial_metadata((("location", f"/api/epcis/capture/{job.job_id}"),))
        return _job(job)

    async def AddCapturePart(self, request: pb.AddCapturePartRequest, context: Context) -> pb.CaptureJob:
        job_id = id_from_proto(request.job_id)
        return _job(await self._parts.add(caller(), job_id, request.index, request.chunk))

    async def FinishCaptureJob(self, request: pb.FinishCaptureJobRequest, context: Context) -> pb.CaptureJob:
        return _job(await self._parts.finish(caller(), id_from_proto(request.job_id), request.parts))

    async def GetCaptureJob(self, request: pb.GetCaptureJobRequest, context: Context) -> pb.CaptureJob:
        return _job(await self._jobs.get(caller(), id_from_proto(request.job_id)))

    async def ListCaptureErrors(
        self, request: pb.ListCaptureErrorsRequest, context: Context
    ) -> pb.ListCaptureErrorsResponse:
        size, job_id = page_size(request.page_size), id_from_proto(request.job_id)
        query = {"method": "ListCaptureErrors", "job_id": job_id}
        after = self._after(request.page_token, query, -1)
        found = await self._jobs.errors(caller(), job_id, after, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.index}, query)
        errors = [pb.CaptureError(index=e.index, reason=e.reason, message=e.message) for e in page]
        return pb.ListCaptureErrorsResponse(errors=errors, next_page_token=token)

    async def GetEvent(self, request: pb.GetEventRequest, context: Context) -> pb.CapturedEvent:
        return _event(await self._read.get(request.event_id, request.error_declaration))

    async def QueryEvents(self, request: pb.QueryEventsRequest, context: Context) -> pb.QueryEventsResponse:
        size, parameters = page_size(request.page_size), MessageToDict(request.parameters)
        query = {"method": "QueryEvents", "parameters": parameters}
        after = self._after(request.page_token, query, 0)
        page, more = await self._read.query(parameters, after, size)
        token = self._page_tokens.encode({"after": page[-1].position}, query) if more and page else ""
        return pb.QueryEventsResponse(events=map(_event, page), next_page_token=token)

    async def ListFindings(
        self, request: pb.ListFindingsRequest, context: Context
    ) -> pb.ListFindingsResponse:
        size = page_size(request.page_size)
        severity = _SEVERITIES_FROM.get(request.severity)
        where = FindingFilter(request.code, severity, request.subject, request.event_id)
        query = {"method": "ListFindings", **{name: getattr(where, name) for name in where.__slots__}}
        after = self._after(request.page_token, query, 0)
        found = await self._read.findings(where, after, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": last.number}, query)
        findings = [_finding(each.finding, each.record_time) for each in page]
        return pb.ListFindingsResponse(findings=findings, next_page_token=token)

    async def ExportLotEvents(
        self, request: pb.ExportLotEventsRequest, context: Context
    ) -> pb.ExportLotEventsResponse:
        return pb.ExportLotEventsResponse(document=await self._export(id_from_proto(request.lot_id)))

    def _after(self, token: str, query: dict[str, Any], start: int) -> int:
        cursor = self._page_tokens.decode(token, query)
        return int(cursor["after"]) if cursor else start


async def _chunks(
    first: pb.CaptureDocumentRequest, others: AsyncIterator[pb.CaptureDocumentRequest]
) -> AsyncIterator[bytes]:
    yield first.chunk
    async for request in others:
        if request.request_id != first.request_id:
            raise InvalidArgument("VALIDATION_FAILED", "The request_id has to be the same in every message.")
        yield request.chunk


def _job(job: CaptureJob) -> pb.CaptureJob:
    return pb.CaptureJob(
        job_id=job.job_id,
        state=pb.CaptureState.Value(f"CAPTURE_STATE_{job.state.value}"),
        captured=job.captured,
        duplicates=job.duplicates,
        refused=job.refused,
        findings=job.findings,
        create_time=timestamp_to_proto(job.create_time),
        update_time=timestamp_to_proto(job.update_time),
        failure=job.failure,
        parts=job.parts,
        size=job.size,
    )


def _event(event: CapturedEvent) -> pb.CapturedEvent:
    return pb.CapturedEvent(
        event_id=event.event_id,
        event_hash=event.event_hash,
        document=event.document,
        record_time=timestamp_to_proto(event.record_time),
        ledger_event_id=event.ledger_event_id,
        captured_by=event.captured_by,
        hash_ignored_fields=event.ignored,
    )


def _finding(finding: Finding, record_time: datetime | None = None) -> pb.Finding:
    return pb.Finding(
        code=finding.code.value,
        severity=_SEVERITIES[finding.severity],
        event_id=finding.event_id,
        subject=finding.subject,
        explanation=finding.explanation,
        record_time=timestamp_to_proto(record_time) if record_time else None,
    )
