"""RecallService: decode, call the use case, encode."""

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.errors import InvalidArgument
from chassis.paging import PageTokens, page_size
from greenledger.trace.v1 import recall_pb2 as pb
from greenledger.trace.v1 import recall_pb2_grpc
from services.trace.adapters.codec import id_from_proto
from services.trace.adapters.recall_codec import (
    call_cursor,
    call_place,
    entry_place,
    entry_to_proto,
    kind_from_proto,
    recall_to_proto,
)
from services.trace.application.recalls import Recalls

Context = grpc.aio.ServicerContext[Any, Any]


class RecallServicer(recall_pb2_grpc.RecallServiceServicer):
    """The RPCs about recalls."""

    def __init__(self, recalls: Recalls, page_tokens: PageTokens) -> None:
        self._recalls = recalls
        self._page_tokens = page_tokens

    async def GetRecall(self, request: pb.GetRecallRequest, context: Context) -> pb.Recall:
        return recall_to_proto(await self._recalls.get(id_from_proto(request.recall_id)))

    async def DrillRecall(self, request: pb.DrillRecallRequest, context: Context) -> pb.Recall:
        return recall_to_proto(await self._recalls.drill(id_from_proto(request.lot_id)))

    async def ListRecalls(self, request: pb.ListRecallsRequest, context: Context) -> pb.ListRecallsResponse:
        root, size = id_from_proto(request.root_lot_id), page_size(request.page_size)
        query = {"method": "ListRecalls", "root": root, "open": request.open_only}
        before = call_place(self._page_tokens.decode(request.page_token, query))
        found = await self._recalls.page(root or None, request.open_only, before, size + 1)
        page, token = self._page_tokens.cut(found, size, call_cursor, query)
        return pb.ListRecallsResponse(recalls=map(recall_to_proto, page), next_page_token=token)

    async def ListRecallEntries(
        self, request: pb.ListRecallEntriesRequest, context: Context
    ) -> pb.ListRecallEntriesResponse:
        recall_id, size = id_from_proto(request.recall_id), page_size(request.page_size)
        query = {
            "method": "ListRecallEntries",
            "recall": recall_id,
            "kind": request.kind,
            "outstanding": request.outstanding_only,
        }
        after = entry_place(self._page_tokens.decode(request.page_token, query))
        kind = kind_from_proto(request.kind)
        found = await self._recalls.entries(
            caller(), recall_id, kind, request.outstanding_only, after, size + 1
        )
        page, token = self._page_tokens.cut(
            found, size, lambda last: {"kind": int(last.kind), "id": last.entry_id}, query
        )
        return pb.ListRecallEntriesResponse(entries=map(entry_to_proto, page), next_page_token=token)

    async def WatchRecall(
        self, request: pb.WatchRecallRequest, context: Context
    ) -> AsyncIterator[pb.WatchRecallResponse]:
        recall_id = id_from_proto(request.recall_id)
        query = {"method": "WatchRecall", "recall": recall_id}
        try:
            cursor = self._page_tokens.decode(request.resume_token, query)
        except InvalidArgument:
            message = "the resume_token is not one of this recall"
            raise InvalidArgument("RESUME_TOKEN_INVALID", message) from None
        seen, final = (cursor["seen"] if cursor else ""), False
        async with aclosing(self._recalls.watch(recall_id, seen)) as news:
            async for told in news:
                if told is None:
                    token = self._page_tokens.encode({"seen": seen}, query)
                    yield pb.WatchRecallResponse(heartbeat=True, resume_token=token)
                    continue
                recall, seen = told
                final = recall.at_rest
                yield pb.WatchRecallResponse(
                    recall=recall_to_proto(recall),
                    resume_token=self._page_tokens.encode({"seen": seen}, query),
                    final=final,
                )
        if not final:
            # Resumed at its end: there is nothing more to send than that it is one.
            yield pb.WatchRecallResponse(
                resume_token=self._page_tokens.encode({"seen": seen}, query), final=True
            )
