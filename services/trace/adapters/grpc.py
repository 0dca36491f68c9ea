"""TraceService: decode, call the use case, encode."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing, closing
from typing import Any

import grpc.aio
from google.api.httpbody_pb2 import HttpBody

from chassis.context import caller
from chassis.paging import PageTokens, page_size
from chassis.protobuf import timestamp_from_proto
from greenledger.trace.v1 import findings_pb2, trace_pb2_grpc
from greenledger.trace.v1 import trace_pb2 as pb
from services.trace.adapters.codec import id_from_proto, lot_trace_to_proto, order_trace_to_proto
from services.trace.adapters.findings_codec import (
    breach_to_proto,
    finding_to_proto,
    limits_from_proto,
    line_to_proto,
    tolerance_from_proto,
)
from services.trace.adapters.scope_codec import (
    cursor_of,
    entry_to_proto,
    kind_from_proto,
    largest_page,
    place_from_cursor,
    scope_to_proto,
)
from services.trace.adapters.spreadsheet import CsvFile, Spreadsheet, XlsxFile
from services.trace.application.cold_chain import ColdChain
from services.trace.application.export_records import ExportRecords
from services.trace.application.find_gaps import FindGaps
from services.trace.application.mass_balance import MassBalances
from services.trace.application.recall_scope import RecallScopes
from services.trace.application.trace_goods import TraceGoods

Context = grpc.aio.ServicerContext[Any, Any]

# A page ends here whatever its size, far below the 4 MiB that a gRPC client takes by default.
_PAGE_BYTES = 1024 * 1024


class TraceServicer(trace_pb2_grpc.TraceServiceServicer):
    """The RPCs of trace."""

    def __init__(
        self,
        trace: TraceGoods,
        scopes: RecallScopes,
        page_tokens: PageTokens,
        balances: MassBalances,
        cold_chain: ColdChain,
        find_gaps: FindGaps,
        export: ExportRecords,
    ) -> None:
        self._trace = trace
        self._scopes = scopes
        self._page_tokens = page_tokens
        self._balances = balances
        self._cold_chain = cold_chain
        self._gaps = find_gaps
        self._export = export

    async def GetRecallScope(self, request: pb.GetRecallScopeRequest, context: Context) -> pb.RecallScope:
        return scope_to_proto(await self._scopes.summary(caller(), id_from_proto(request.lot_id)))

    async def ListRecallScopeEntries(
        self, request: pb.ListRecallScopeEntriesRequest, context: Context
    ) -> pb.ListRecallScopeEntriesResponse:
        lot_id, kind = id_from_proto(request.lot_id), kind_from_proto(request.kind)
        size = page_size(request.page_size, maximum=largest_page(kind))
        query = {
            "method": "ListRecallScopeEntries",
            "lot": lot_id,
            "kind": request.kind,
            "position": request.position,
        }
        cursor = self._page_tokens.decode(request.page_token, query)
        position = cursor["position"] if cursor else await self._scopes.position(request.position)
        after = place_from_cursor(cursor["after"]) if cursor else None
        found = await self._scopes.entries(caller(), lot_id, position, kind, after, size + 1)
        entries = list(map(entry_to_proto, found))
        page, token = self._page_tokens.cut(
            found,
            min(size, _fitting(entries)),
            lambda last: {"position": position, "after": cursor_of(last.place)},
            query,
        )
        return pb.ListRecallScopeEntriesResponse(
            entries=entries[: len(page)], next_page_token=token, position=position
        )

    async def TraceOrder(self, request: pb.TraceOrderRequest, context: Context) -> pb.OrderTrace:
        return order_trace_to_proto(await self._trace.order(caller(), id_from_proto(request.order_id)))

    async def TraceLot(self, request: pb.TraceLotRequest, context: Context) -> pb.LotTrace:
        return lot_trace_to_proto(await self._trace.lot(id_from_proto(request.lot_id)))

    async def GetMassBalance(
        self, request: findings_pb2.GetMassBalanceRequest, context: Context
    ) -> findings_pb2.MassBalance:
        tolerance, size = tolerance_from_proto(request), page_size(request.page_size)
        lot_id, holder_id = id_from_proto(request.lot_id), id_from_proto(request.holder_id)
        query = {"method": "GetMassBalance", "holder": holder_id, "tolerance": str(tolerance)}
        cursor = self._page_tokens.decode(request.page_token, query)
        self._balances.require_one(lot_id, holder_id)
        if lot_id:
            found = await self._balances.of_lot(lot_id, tolerance)
            return findings_pb2.MassBalance(
                lines=map(line_to_proto, found.lines), findings=map(finding_to_proto, found.findings)
            )
        after = cursor["after"] if cursor else ""
        lots = await self._balances.of_holder(holder_id, after, size + 1, tolerance)
        page, token = self._page_tokens.cut(lots, size, lambda last: {"after": last[0]}, query)
        return findings_pb2.MassBalance(
            lines=[line_to_proto(line) for _, each in page for line in each.lines],
            findings=[finding_to_proto(finding) for _, each in page for finding in each.findings],
            next_page_token=token,
        )

    async def ListColdChainBreaches(
        self, request: findings_pb2.ListColdChainBreachesRequest, context: Context
    ) -> findings_pb2.ListColdChainBreachesResponse:
        lot_id, limits = id_from_proto(request.lot_id), limits_from_proto(request)
        size = page_size(request.page_size)
        query = {"method": "ListColdChainBreaches", "lot": lot_id, "limits": repr(limits)}
        cursor = self._page_tokens.decode(request.page_token, query)
        start, lot, device, *partner = cursor["after"] if cursor else ("", "", "")
        # A token of before partners' readings counted ends with the device.
        after = (start, lot, device, *(partner or [""]))
        found = await self._cold_chain(lot_id, limits, after, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"after": list(last.place)}, query)
        return findings_pb2.ListColdChainBreachesResponse(
            breaches=map(breach_to_proto, page), next_page_token=token
        )

    async def ListGaps(
        self, request: findings_pb2.ListGapsRequest, context: Context
    ) -> findings_pb2.ListGapsResponse:
        lot_id, size = id_from_proto(request.lot_id), page_size(request.page_size)
        after_s = request.unreceived_after.ToTimedelta() if request.HasField("unreceived_after") else None
        query = {"method": "ListGaps", "lot": lot_id, "after": str(after_s)}
        cursor = self._page_tokens.decode(request.page_token, query)
        found = await self._gaps(lot_id, after_s)
        if cursor:
            found = [finding for finding in found if list(finding.place()) > cursor["after"]]
        page, token = self._page_tokens.cut(
            found[: size + 1], size, lambda last: {"after": list(last.place())}, query
        )
        return findings_pb2.ListGapsResponse(findings=map(finding_to_proto, page), next_page_token=token)

    async def ExportTraceability(
        self, request: findings_pb2.ExportTraceabilityRequest, context: Context
    ) -> AsyncIterator[HttpBody]:
        selection = await self._export.select(
            [id_from_proto(lot_id) for lot_id in request.lot_ids],
            timestamp_from_proto(request.start_time) if request.HasField("start_time") else None,
            timestamp_from_proto(request.end_time) if request.HasField("end_time") else None,
            related=request.with_related,
        )
        file: Spreadsheet = XlsxFile() if request.format == findings_pb2.EXPORT_FORMAT_XLSX else CsvFile()
        with closing(file):
            named = f'attachment; filename="{file.file_name}"'
            await context.send_initial_metadata((("content-disposition", named),))
            async with aclosing(self._export.rows(selection)) as pages:
                async for rows in pages:
                    # Even an empty piece: it tells the edge that work goes on.
                    yield HttpBody(content_type=file.content_type, data=await file.add(rows))
            async for piece in file.end():
                yield HttpBody(content_type=file.content_type, data=piece)


def _fitting(entries: Sequence[pb.RecallScopeEntry]) -> int:
    """How many of the entries make a page that is not too large; one does, whatever its size."""
    room = _PAGE_BYTES
    for count, entry in enumerate(entries):
        room -= entry.ByteSize()
        if room < 0:
            return max(count, 1)
    return len(entries)
