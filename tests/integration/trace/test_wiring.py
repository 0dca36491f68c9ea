"""The wiring makes a service that a server takes."""

from pathlib import Path

import grpc.aio

from chassis.channels import Channels
from chassis.clock import SystemClock
from chassis.context import RequestContext, use
from chassis.idempotency import IdempotencyStore
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from chassis.paging import PageTokens
from chassis.runtime import Runtime
from chassis.settings import Settings
from chassis.telemetry.tracing import Tracing
from greenledger.trace.v1 import trace_pb2, trace_pb2_grpc
from services.trace.wiring import wire
from tests.integration.trace.conftest import Trace
from tests.integration.trace.story import season
from tests.integration.trace.test_answers import AUDITOR


async def test_the_rpcs_answer_over_the_wired_objects(trace: Trace, tmp_path: Path) -> None:
    clock, ids, database = SystemClock(), SystemIds(), trace.database
    runtime = Runtime(
        settings=Settings("trace", database.dsn, "127.0.0.1:1", "127.0.0.1:0", tmp_path),
        clock=clock,
        ids=ids,
        database=database,
        outbox=Outbox("trace", ids, clock),
        channels=Channels({}),
        page_tokens=PageTokens(b"0123456789abcdef"),
        tracing=Tracing.to_endpoint("trace", ""),
        idempotency=IdempotencyStore(database, clock),
    )
    service = wire(runtime)
    assert {subscription.topic for subscription in service.subscriptions} >= trace.topics
    servicer, _ = service.servicers
    servicer.add(servicer.implementation, grpc.aio.server())
    await trace.hear(season().events)
    implementation = servicer.implementation
    assert isinstance(implementation, trace_pb2_grpc.TraceServiceServicer)
    with use(RequestContext(principal=AUDITOR)):
        scope = await implementation.GetRecallScope(trace_pb2.GetRecallScopeRequest(lot_id="A"), None)
        entries = await implementation.ListRecallScopeEntries(
            trace_pb2.ListRecallScopeEntriesRequest(lot_id="A", position=scope.position), None
        )
        order = await implementation.TraceOrder(trace_pb2.TraceOrderRequest(order_id="EATEN"), None)
        lot = await implementation.TraceLot(trace_pb2.TraceLotRequest(lot_id="A1"), None)
    assert (scope.guest_count, list(scope.guest_ids)) == (2, [])
    assert [entry.WhichOneof("entry") for entry in entries.entries] == (
        ["lot"] * 4 + ["stock"] * 2 + ["venue"] * 2 + ["menu_item"] * 2 + ["order"] * 3
    )
    assert [traced.lot_id for traced in order.lots] == ["a", "a1", "b"]
    assert [traced.lot_id for traced in lot.ancestors] == ["a"]
