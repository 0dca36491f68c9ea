"""TraceService: decode, call the use case, encode."""

from typing import Any

import grpc.aio

from chassis.context import caller
from greenledger.trace.v1 import trace_pb2 as pb
from greenledger.trace.v1 import trace_pb2_grpc
from services.trace.adapters.codec import (
    id_from_proto,
    lot_trace_to_proto,
    order_trace_to_proto,
    scope_to_proto,
)
from services.trace.application.trace_goods import TraceGoods

Context = grpc.aio.ServicerContext[Any, Any]


class TraceServicer(trace_pb2_grpc.TraceServiceServicer):
    """The RPCs of trace."""

    def __init__(self, trace: TraceGoods) -> None:
        self._trace = trace

    async def GetRecallScope(self, request: pb.GetRecallScopeRequest, context: Context) -> pb.RecallScope:
        return scope_to_proto(await self._trace.recall_scope(caller(), id_from_proto(request.lot_id)))

    async def TraceOrder(self, request: pb.TraceOrderRequest, context: Context) -> pb.OrderTrace:
        return order_trace_to_proto(await self._trace.order(caller(), id_from_proto(request.order_id)))

    async def TraceLot(self, request: pb.TraceLotRequest, context: Context) -> pb.LotTrace:
        return lot_trace_to_proto(await self._trace.lot(id_from_proto(request.lot_id)))
