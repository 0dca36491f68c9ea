"""The recalls behind the real server and interceptors."""

import uuid
from collections.abc import AsyncIterator
from typing import Any

import grpc
import pytest
import pytest_asyncio

from chassis.testing import PostgresServer
from chassis.testing.service import Metadata, ServiceUnderTest, TokenSigner, received, serve
from greenledger.crops.v1 import crops_pb2
from greenledger.crops.v1 import events_pb2 as crops
from greenledger.inventory.v1 import events_pb2 as inventory
from greenledger.notifications.v1 import events_pb2 as notifications
from greenledger.orders.v1 import events_pb2 as orders
from greenledger.trace.v1 import recall_pb2 as pb
from greenledger.trace.v1.recall_pb2_grpc import RecallServiceStub
from interceptors.testing import SignedChain, reason
from services.trace.wiring import wire

LOT, RECALL, ORDER, FARM, GUEST = (str(uuid.UUID(int=number)) for number in range(1, 6))


@pytest_asyncio.fixture
async def service(postgres_server: PostgresServer) -> AsyncIterator[ServiceUnderTest]:
    signer = TokenSigner()
    async with (
        postgres_server.database("trace") as dsn,
        serve("trace", wire, SignedChain(signer), dsn, signer) as running,
    ):
        yield running


@pytest.fixture
def stub(service: ServiceUnderTest) -> RecallServiceStub:
    return RecallServiceStub(service.channel)


@pytest.fixture
def auditor(service: ServiceUnderTest) -> Metadata:
    return service.signer.user("auditor", "trace.read")


async def hear(service: ServiceUnderTest, *facts: tuple[str, Any]) -> None:
    handlers: dict[str, Any] = {entry.topic: entry.batch_handler for entry in service.service.subscriptions}
    for topic, fact in facts:
        async with service.runtime.database.transaction() as tx:
            await handlers[topic]([received(topic, fact)], tx)


CALLED = (
    "crop.recalled",
    crops.LotRecalled(
        lot_id=LOT,
        root_lot_id=LOT,
        recall_id=RECALL,
        recall_class=crops_pb2.RECALL_CLASS_II,
        reason="glass",
        owner_id=FARM,
        grower_id=FARM,
    ),
)
AFFECTED = (
    "inventory.order-affected",
    inventory.OrderAffected(order_id=ORDER, recall_id=RECALL, consumed=True),
)
DEALT_WITH = ("order.recalled", orders.OrderRecalled(order_id=ORDER, recall_id=RECALL, guest_id=GUEST))
TOLD = [
    ("notification.sent", notifications.NotificationSent(user_id=user, recall_id=RECALL))
    for user in (FARM, GUEST)
]


def progress(recall: pb.Recall) -> dict[str, tuple[int, int]]:
    """Done and outstanding of what there is."""
    return {
        pb.RecallEntryKind.Name(each.kind).removeprefix("RECALL_ENTRY_KIND_"): (each.done, each.outstanding)
        for each in recall.progress
        if each.expected
    }


async def test_a_recall_is_followed_from_its_call_to_its_end(service, stub, auditor):
    await hear(service, CALLED, AFFECTED)
    watching = stub.WatchRecall(pb.WatchRecallRequest(recall_id=RECALL), metadata=auditor)
    messages = aiter(watching)
    first = await anext(messages)
    assert (first.recall.recall_class, first.recall.reason, first.final) == ("II", "glass", False)
    assert progress(first.recall) == {"LOT": (1, 0), "ORDER": (0, 1), "REFUND": (0, 1), "HOLDER": (0, 1)}
    await hear(service, DEALT_WITH, *TOLD)
    last = [message async for message in messages][-1]
    assert (last.final, last.recall.state) == (True, pb.RECALL_STATE_COMPLETE)
    assert progress(last.recall) == {"LOT": (1, 0), "ORDER": (1, 0), "GUEST": (1, 0), "HOLDER": (1, 0)}
    assert await stub.GetRecall(pb.GetRecallRequest(recall_id=RECALL), metadata=auditor) == last.recall
    again = pb.WatchRecallRequest(recall_id=RECALL, resume_token=last.resume_token)
    [end] = [message async for message in stub.WatchRecall(again, metadata=auditor)]
    assert (end.final, end.HasField("recall")) == (True, False)


async def test_a_resume_token_of_another_recall_is_refused(service, stub, auditor):
    await hear(service, CALLED, *TOLD)
    watched = stub.WatchRecall(pb.WatchRecallRequest(recall_id=RECALL), metadata=auditor)
    token = (await watched.read()).resume_token
    for request in (
        pb.WatchRecallRequest(recall_id=RECALL, resume_token="made up"),
        pb.WatchRecallRequest(recall_id=ORDER, resume_token=token),
    ):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.WatchRecall(request, metadata=auditor).read()
        assert reason(caught.value) == "RESUME_TOKEN_INVALID"


async def test_entries_and_recalls_come_in_pages(service, stub, auditor):
    await hear(service, CALLED, AFFECTED, DEALT_WITH)
    seen, token = [], ""
    while True:
        request = pb.ListRecallEntriesRequest(recall_id=RECALL, page_size=1, page_token=token)
        page = await stub.ListRecallEntries(request, metadata=auditor)
        seen += [(entry.kind, entry.entry_id, entry.state) for entry in page.entries]
        if not (token := page.next_page_token):
            break
    assert seen == [
        (pb.RECALL_ENTRY_KIND_LOT, LOT, pb.RECALL_ENTRY_STATE_DONE),
        (pb.RECALL_ENTRY_KIND_ORDER, ORDER, pb.RECALL_ENTRY_STATE_DONE),
        (pb.RECALL_ENTRY_KIND_HOLDER, FARM, pb.RECALL_ENTRY_STATE_OUTSTANDING),
    ]
    operator = service.signer.user("operator", "trace.read", "trace.personal")
    left = pb.ListRecallEntriesRequest(recall_id=RECALL, outstanding_only=True)
    people = (await stub.ListRecallEntries(left, metadata=operator)).entries
    assert [entry.entry_id for entry in people] == [GUEST, FARM]
    [listed] = (await stub.ListRecalls(pb.ListRecallsRequest(page_size=1), metadata=auditor)).recalls
    assert (listed.recall_id, listed.state, len(listed.progress)) == (RECALL, pb.RECALL_STATE_RUNNING, 0)


async def test_guests_are_for_those_who_may_see_personal_data(service, stub, auditor):
    await hear(service, CALLED, DEALT_WITH)
    request = pb.ListRecallEntriesRequest(recall_id=RECALL, kind=pb.RECALL_ENTRY_KIND_GUEST)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListRecallEntries(request, metadata=auditor)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
    operator = service.signer.user("operator", "trace.read", "trace.personal")
    [guest] = (await stub.ListRecallEntries(request, metadata=operator)).entries
    assert guest.entry_id == GUEST


async def test_a_drill_has_the_shape_of_a_recall_and_publishes_nothing(service, stub, auditor):
    minted = crops.LotMinted(lot_id=LOT, lot_code="A", owner_id=FARM, grower_id=FARM)
    minted.quantity.amount, minted.quantity.unit_code = "1", "KGM"
    await hear(service, ("crop.minted", minted))
    drill = await stub.DrillRecall(pb.DrillRecallRequest(lot_id=LOT), metadata=auditor)
    assert (drill.recall_id, drill.root_lot_id, drill.state) == ("", LOT, pb.RECALL_STATE_DRILL)
    assert progress(drill) == {"LOT": (0, 1), "HOLDER": (0, 1)}
    assert len(drill.progress) == 8
    database = service.runtime.database
    assert await database.fetchval("SELECT count(*) FROM outbox") == 0
    assert await database.fetchval("SELECT count(*) FROM recall") == 0
    nobody = service.signer.user("guest")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.DrillRecall(pb.DrillRecallRequest(lot_id=LOT), metadata=nobody)
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED
