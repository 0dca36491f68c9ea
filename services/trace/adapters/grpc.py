"""TraceService: decode, call the use case, encode."""

from collections.abc import Sequence
from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.paging import PageTokens, page_size
from greenledger.trace.v1 import trace_pb2 as pb
from greenledger.trace.v1 import trace_pb2_grpc
from services.trace.adapters.codec import id_from_proto, lot_trace_to_proto, order_trace_to_proto
from services.trace.adapters.scope_codec import (
    cursor_of,
    entry_to_proto,
    kind_from_proto,
    largest_page,
    place_from_cursor,
    scope_to_proto,
)
from services.trace.application.recall_scope import RecallScopes
from services.trace.application.trace_goods import TraceGoods

Context = grpc.aio.ServicerContext[Any, Any]

# A page ends here whatever its size, far below the 4 MiB that a gRPC client takes by default.
_PAGE_BYTES = 1024 * 1024


class TraceServicer(trace_pb2_grpc.TraceServiceServicer):
    """The RPCs of trace."""

    def __init__(self, trace: TraceGoods, scopes: RecallScopes, page_tokens: PageTokens) -> None:
        self._trace = trace
        self._scopes = scopes
        self._page_tokens = page_tokens

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


def _fitting(entries: Sequence[pb.RecallScopeEntry]) -> int:
    """How many of the entries make a page that is not too large; one does, whatever its size."""
    room = _PAGE_BYTES
    for count, entry in enumerate(entries):
        room -= entry.ByteSize()
        if room < 0:
            return max(count, 1)
    return len(entries)
