"""Balances, breaches, gaps and exports, asked over gRPC through the real chain."""

import csv
import io
import uuid
from collections.abc import AsyncIterator
from datetime import timedelta

import grpc
import openpyxl
import pytest
import pytest_asyncio

from chassis.protobuf import timestamp_to_proto
from chassis.testing.service import ServiceUnderTest, TokenSigner, serve
from greenledger.trace.v1 import findings_pb2 as pb
from greenledger.trace.v1.trace_pb2_grpc import TraceServiceStub
from interceptors.testing import SignedChain, reason
from services.trace.wiring import wire
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import START, Story, celsius


def uid(name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_OID, name))


LOT, PART, FARM, SHOP, VENUE = map(uid, ("lot", "part", "farm", "shop", "venue"))


@pytest_asyncio.fixture
async def running(trace: Trace) -> AsyncIterator[ServiceUnderTest]:
    """The service, to which a short story was told."""
    story = Story()
    story.mint(LOT, 100)
    story.split(LOT, 60, **{PART: 40})
    story.transfer(LOT, 1, SHOP)
    story.ship(LOT, "=cmd()", SHOP, 60)
    story.observe(LOT, *(celsius("9", minute) for minute in range(0, 60, 10)))
    story.observe(LOT, *(celsius("1" if minute % 50 else "9", minute) for minute in range(100, 300, 10)))
    story.commit(LOT, "k", 50, VENUE)
    story.commit(LOT, "sale", 8, "")
    story.deliver(LOT, "sale", 8, uid("sold"), FARM)
    story.receive("s", VENUE, LOT, 50)
    story.consume(uid("o"), VENUE, ("s", LOT, "m"))
    await trace.hear(story.events)
    signer = TokenSigner()
    async with serve("trace", wire, SignedChain(signer), trace.database.dsn, signer) as service:
        yield service


def auditor(running: ServiceUnderTest) -> tuple[tuple[str, str], ...]:
    return running.signer.user("auditor", "trace.read")


async def test_a_lots_balance_is_told_holder_by_holder(running: ServiceUnderTest) -> None:
    ask = TraceServiceStub(running.channel).GetMassBalance
    found = await ask(pb.GetMassBalanceRequest(lot_id=LOT.upper()), metadata=auditor(running))
    assert [(line.holder_id, line.minted, line.received, line.consumed) for line in found.lines] == [
        ("farm", "100", "", ""),
        (SHOP, "", "60", ""),
        (VENUE, "", "50", "1"),
    ]
    assert [line.remaining_by_movement for line in found.lines] == ["0", "60", "49"]
    assert [line.remaining_by_ledger for line in found.lines] == ["0", "60", ""]
    assert found.lines[1].committed == "50"
    assert list(found.findings) == []
    venue = await ask(pb.GetMassBalanceRequest(holder_id=VENUE), metadata=auditor(running))
    assert list(venue.lines) == [found.lines[2]]


async def test_breaches_and_gaps_come_in_pages(running: ServiceUnderTest) -> None:
    stub, metadata = TraceServiceStub(running.channel), auditor(running)
    request = pb.ListColdChainBreachesRequest(lot_id=LOT, page_size=2)
    request.min_duration.FromTimedelta(timedelta(minutes=10))
    starts = []
    while True:
        page = await stub.ListColdChainBreaches(request, metadata=metadata)
        starts += [breach.start_time.ToDatetime(START.tzinfo) - START for breach in page.breaches]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert starts == [timedelta(minutes=minute) for minute in (0, 150, 200, 250)]
    gaps = await stub.ListGaps(pb.ListGapsRequest(lot_id=LOT, page_size=1), metadata=metadata)
    assert [pb.FindingCode.Name(finding.code) for finding in gaps.findings] == [
        "FINDING_CODE_SHIPPED_NOT_RECEIVED"
    ]
    more = pb.ListGapsRequest(lot_id=LOT, page_size=1, page_token=gaps.next_page_token)
    rest = await stub.ListGaps(more, metadata=metadata)
    assert [finding.party_id for finding in rest.findings] == [SHOP]
    assert rest.next_page_token == ""


@pytest.mark.parametrize("file_format", [pb.EXPORT_FORMAT_CSV, pb.EXPORT_FORMAT_XLSX])
async def test_records_are_exported_as_a_file(
    running: ServiceUnderTest, file_format: pb.ExportFormat.ValueType
) -> None:
    request = pb.ExportTraceabilityRequest(
        start_time=timestamp_to_proto(START), end_time=timestamp_to_proto(START + timedelta(days=1))
    )
    request.format = file_format
    call = TraceServiceStub(running.channel).ExportTraceability(request, metadata=auditor(running))
    pieces = [piece async for piece in call]
    data, [content_type] = b"".join(piece.data for piece in pieces), {piece.content_type for piece in pieces}
    named = dict(await call.initial_metadata())["content-disposition"]
    if file_format == pb.EXPORT_FORMAT_CSV:
        assert (content_type, named) == ("text/csv; charset=utf-8", 'attachment; filename="traceability.csv"')
        heading, *rows = csv.reader(io.StringIO(data.decode(), newline=""))
    else:
        assert "spreadsheetml" in content_type
        sheet = openpyxl.load_workbook(io.BytesIO(data)).worksheets[0]
        heading, *rows = [[str(cell or "") for cell in row] for row in sheet.iter_rows(values_only=True)]
    events = sorted(row[heading.index("critical_tracking_event")] for row in rows)
    assert events == ["harvesting", "receiving", "shipping", "transformation", "transformation"]
    # Nobody who ate of it is in it.
    assert uid("o").encode() not in data


async def test_what_may_not_be_asked_is_refused(running: ServiceUnderTest) -> None:
    stub = TraceServiceStub(running.channel)
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ExportTraceability(
            pb.ExportTraceabilityRequest(lot_ids=[LOT]),
            metadata=running.signer.user("ann", "crops.lots.read"),
        ).read()
    assert refused.value.code() is grpc.StatusCode.PERMISSION_DENIED
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.ExportTraceability(pb.ExportTraceabilityRequest(), metadata=auditor(running)).read()
    assert reason(refused.value) == "RANGE_INVALID"
    with pytest.raises(grpc.aio.AioRpcError) as refused:
        await stub.GetMassBalance(pb.GetMassBalanceRequest(), metadata=auditor(running))
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT
