"""The RPCs over real use cases; the interceptors have their own tests."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import uuid4

import grpc.aio
import pytest
import pytest_asyncio

from chassis.channels import Channels
from chassis.clock import SystemClock
from chassis.context import RequestContext, use
from chassis.errors import InvalidArgument
from chassis.idempotency import IdempotencyStore
from chassis.ids import SystemIds
from chassis.outbox import Outbox
from chassis.paging import PageTokens
from chassis.protobuf import timestamp_to_proto
from chassis.runtime import Runtime
from chassis.settings import Settings
from chassis.telemetry.tracing import Tracing
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2 as pb
from services.crops.adapters.grpc import CommandServicer, QueryServicer
from services.crops.wiring import wire
from tests.integration.crops.conftest import Crops, user
from tests.unit.crops.lots import BUYER, GROWER, NOW

NO_CONTEXT: Any = None


def command_servicer(crops: Crops) -> CommandServicer:
    return CommandServicer(
        crops.mint,
        crops.transfer,
        crops.split,
        crops.recall_lot,
        crops.commit,
        crops.release,
        crops.merge,
        crops.transform,
        crops.hold,
        crops.release_hold,
        crops.destroy,
        crops.sell,
        crops.release_recall,
        crops.offer,
        crops.accept,
        crops.reject,
        crops.withdraw,
        crops.deliver,
        crops.physical,
    )


@pytest_asyncio.fixture
async def commands(crops: Crops) -> AsyncIterator[CommandServicer]:
    """Called by GROWER."""
    with use(RequestContext(principal=user(GROWER))):
        yield command_servicer(crops)


@pytest.fixture
def queries(crops: Crops) -> QueryServicer:
    return QueryServicer(crops.read, PageTokens(b"0123456789abcdef"))


def mint_request(code: str) -> pb.MintLotRequest:
    return pb.MintLotRequest(
        request_id=str(uuid4()),
        lot_code=code,
        product_code="romaine-lettuce",
        quantity=Quantity(amount="12.5", unit_code="KGM"),
        origin=pb.Origin(farm_name="Salinas Farm", country_code="US", gln="0614141000005"),
        harvest_time=timestamp_to_proto(NOW - timedelta(days=300)),
        harvest_utc_offset="-07:00",
        expire_time=timestamp_to_proto(NOW + timedelta(days=10)),
    )


def by(subject: str) -> Any:
    return use(RequestContext(principal=user(subject)))


async def test_a_lot_goes_through_its_life_over_the_api(crops: Crops, queries: QueryServicer) -> None:
    commands = command_servicer(crops)
    with by(GROWER):
        lot = await commands.MintLot(mint_request("L"), NO_CONTEXT)
        assert (lot.state, lot.quantity.amount, lot.etag) == (pb.LOT_STATE_ACTIVE, "12.5", "1")
        assert lot == await queries.GetLot(pb.GetLotRequest(lot_id=lot.lot_id.upper()), NO_CONTEXT)
        transfer = pb.TransferLotRequest(
            request_id=str(uuid4()), lot_id=lot.lot_id, new_owner_id=BUYER, reference_document="BOL"
        )
        moved = await commands.TransferLot(transfer, NO_CONTEXT)
        assert (moved.owner_id, moved.transfer_count, moved.HasField("last_transfer_time")) == (
            BUYER,
            1,
            True,
        )
    with by(BUYER):
        part = pb.Part(lot_code="P", quantity=Quantity(amount="2500", unit_code="GRM"))
        split = await commands.SplitLot(
            pb.SplitLotRequest(request_id=str(uuid4()), lot_id=lot.lot_id, parts=[part]), NO_CONTEXT
        )
        assert (split.lot.quantity.amount, split.parts[0].quantity.amount) == ("10", "2.5")
        assert split.parts[0].parent_lot_id == lot.lot_id
        request = pb.RecallLotRequest(
            request_id=str(uuid4()), lot_id=lot.lot_id, reason="E. coli", recall_class=pb.RECALL_CLASS_II
        )
        recalled = await commands.RecallLot(request, NO_CONTEXT)
    assert recalled.lot.state == pb.LOT_STATE_RECALLED
    assert list(recalled.recalled_lot_ids) == [lot.lot_id, split.parts[0].lot_id]
    owners = await queries.ListOwnership(pb.ListOwnershipRequest(lot_id=lot.lot_id), NO_CONTEXT)
    assert [owner.owner_id for owner in owners.ownerships] == [GROWER, BUYER]
    assert [owner.HasField("until_time") for owner in owners.ownerships] == [True, False]


async def test_the_history_says_who_did_what(crops: Crops, queries: QueryServicer) -> None:
    commands = command_servicer(crops)
    with by(GROWER):
        lot = await commands.MintLot(mint_request("L"), NO_CONTEXT)
    events = await queries.ListLotEvents(pb.ListLotEventsRequest(lot_id=lot.lot_id), NO_CONTEXT)
    [event] = events.events
    assert (event.type, event.version, event.actor, event.quantity.amount) == ("LotMinted", 1, GROWER, "12.5")


async def test_pages_follow_each_other_and_tokens_are_bound_to_the_filter(
    commands: CommandServicer, queries: QueryServicer
) -> None:
    with by(GROWER):
        minted = [await commands.MintLot(mint_request(f"L{n}"), NO_CONTEXT) for n in range(5)]
    seen: list[str] = []
    request = pb.ListLotsRequest(page_size=2, grower_id=GROWER)
    while True:
        page = await queries.ListLots(request, NO_CONTEXT)
        seen += [lot.lot_id for lot in page.lots]
        if not page.next_page_token:
            break
        request.page_token = page.next_page_token
    assert seen == [lot.lot_id for lot in minted]
    with pytest.raises(InvalidArgument) as refused:
        await queries.ListLots(pb.ListLotsRequest(page_token=request.page_token), NO_CONTEXT)
    assert refused.value.reason == "PAGE_TOKEN_INVALID"


async def test_the_wiring_makes_a_service_that_a_server_takes(idle_crops: Crops, tmp_path: Any) -> None:
    clock, ids, database = SystemClock(), SystemIds(), idle_crops.database
    runtime = Runtime(
        settings=Settings("crops", database.dsn, "127.0.0.1:1", "127.0.0.1:0", tmp_path),
        clock=clock,
        ids=ids,
        database=database,
        outbox=Outbox("crops", ids, clock),
        channels=Channels(dict.fromkeys(("users", "notifications", "inventory"), "127.0.0.1:1")),
        page_tokens=PageTokens(b"0123456789abcdef"),
        tracing=Tracing.to_endpoint("crops", ""),
        idempotency=IdempotencyStore(database, clock),
    )
    service = wire(runtime)
    server = grpc.aio.server()
    for servicer in service.servicers:
        servicer.add(servicer.implementation, server)
    assert [servicer.name.rpartition(".")[2] for servicer in service.servicers] == [
        "CropCommandService",
        "CropQueryService",
        "LedgerService",
        "EpcisService",
    ]
    assert service.sagas is not None
    await runtime.channels.close()
