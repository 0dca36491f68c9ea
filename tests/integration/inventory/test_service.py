"""The service behind its real server and interceptors, with crops; catalog is a small server of the test."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from decimal import Decimal

import grpc
import pytest
import pytest_asyncio

from chassis.clock import SystemClock
from chassis.protobuf import timestamp_to_proto
from chassis.testing.postgres import PostgresServer
from chassis.testing.service import ServiceUnderTest, TokenSigner, serve
from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from greenledger.crops.v1.events_pb2 import LotHeld, LotHoldReleased, LotRecalled, LotRecallReleased
from greenledger.inventory.v1 import inventory_pb2 as pb
from greenledger.inventory.v1.inventory_pb2_grpc import InventoryServiceStub
from interceptors.testing import SignedChain, reason
from services.auth.domain.roles import SERVICE_SCOPES
from services.crops.wiring import wire as wire_crops
from services.inventory.wiring import wire

OWNER, VENUE, SOUP = (f"{digit * 8}-{digit * 4}-4{digit * 3}-8{digit * 3}-{digit * 12}" for digit in "abc")
GROWER = OWNER


class Neighbour(catalog_pb2_grpc.CatalogServiceServicer):
    """Catalog with one venue."""

    async def GetVenue(self, request, context):
        return catalog_pb2.Venue(venue_id=VENUE, owner_id=OWNER)


@asynccontextmanager
async def neighbour() -> AsyncIterator[str]:
    server = grpc.aio.server()
    catalog_pb2_grpc.add_CatalogServiceServicer_to_server(Neighbour(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    yield f"127.0.0.1:{port}"
    await server.stop(None)


@pytest_asyncio.fixture
async def crops(postgres_server: PostgresServer) -> AsyncIterator[ServiceUnderTest]:
    signer = TokenSigner()
    peers = dict.fromkeys(("users", "notifications", "inventory"), "127.0.0.1:1")
    async with (
        postgres_server.database("crops") as dsn,
        serve("crops", wire_crops, SignedChain(signer), dsn, signer, peers=peers) as running,
    ):
        yield running


@pytest_asyncio.fixture
async def service(
    postgres_server: PostgresServer, crops: ServiceUnderTest
) -> AsyncIterator[ServiceUnderTest]:
    signer = TokenSigner()
    async with postgres_server.database("inventory") as dsn, neighbour() as address:
        peers = {"crops": crops.address, "catalog": address}
        chain = SignedChain(signer, SERVICE_SCOPES)
        async with serve("inventory", wire, chain, dsn, signer, peers=peers) as running:
            yield running


@pytest_asyncio.fixture
async def lot(crops: ServiceUnderTest) -> str:
    """The id of ten kilograms of leek."""
    now = SystemClock().now()
    request = crops_pb2.MintLotRequest(
        request_id=str(uuid.uuid4()),
        lot_code="LEEK-1",
        product_code="leek",
        quantity=Quantity(amount="10", unit_code="KGM"),
        origin=crops_pb2.Origin(farm_name="Farm", country_code="US"),
        harvest_time=timestamp_to_proto(now - timedelta(days=1)),
        expire_time=timestamp_to_proto(now + timedelta(days=3)),
    )
    commands = crops_pb2_grpc.CropCommandServiceStub(crops.channel)
    return (await commands.MintLot(request, metadata=crops.signer.user(GROWER, "crops.lots.mint"))).lot_id


@pytest.fixture
def stub(service: ServiceUnderTest) -> InventoryServiceStub:
    return InventoryServiceStub(service.channel)


@pytest.fixture
def owner(service: ServiceUnderTest):
    return service.signer.user(OWNER, "inventory.stock.write", "inventory.stock.read")


@pytest.fixture
def orders(service: ServiceUnderTest):
    return service.signer.service("orders", "inventory.reservations.write", "inventory.stock.read")


def receipt(lot_id: str, amount: str = "4", **changes: str) -> pb.ReceiveStockRequest:
    ids = {"request_id": str(uuid.uuid4()), "venue_id": VENUE, "lot_id": lot_id} | changes
    return pb.ReceiveStockRequest(quantity=Quantity(amount=amount, unit_code="KGM"), **ids)


def reservation(order_id: str, amount: str, **source: str) -> pb.ReserveStockRequest:
    quantity = Quantity(amount=amount, unit_code="GRM")
    line = pb.ReservationLine(menu_item_id=SOUP, quantity=quantity, **(source or {"product_code": "leek"}))
    ids = {"request_id": str(uuid.uuid4()), "order_id": order_id, "venue_id": VENUE}
    return pb.ReserveStockRequest(lines=[line], **ids)


async def test_stock_goes_from_receipt_to_consumption(service, stub, owner, orders, lot):
    received = await stub.ReceiveStock(receipt(lot), metadata=owner)
    order_id = str(uuid.uuid4())
    held = await stub.ReserveStock(reservation(order_id, "500"), metadata=orders)
    assert [each.quantity.amount for each in held.allocations] == ["0.5"]
    ids = {"request_id": str(uuid.uuid4()), "order_id": order_id}
    await stub.ConfirmReservation(pb.ConfirmReservationRequest(**ids), metadata=orders)
    consumed = await stub.ConsumeReservation(pb.ConsumeReservationRequest(**ids), metadata=orders)
    assert consumed.state == pb.RESERVATION_STATE_CONSUMED
    (item,) = (await stub.ListStock(pb.ListStockRequest(venue_id=VENUE), metadata=owner)).stock_items
    assert (item.stock_item_id, item.on_hand.amount, item.reserved.amount, item.available.amount) == (
        received.stock_item_id,
        "3.5",
        "0",
        "3.5",
    )


async def test_a_repeated_receipt_is_received_once(service, stub, owner, lot):
    request = receipt(lot)
    first = await stub.ReceiveStock(request, metadata=owner)
    assert await stub.ReceiveStock(request, metadata=owner) == first
    assert len(await service.published("inventory.received")) == 1
    request.quantity.amount = "5"
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ReceiveStock(request, metadata=owner)
    assert reason(caught.value) == "REQUEST_ID_REUSED"


async def test_too_little_stock_is_refused_and_the_same_request_may_be_tried_again(
    service, stub, owner, orders, lot
):
    request = reservation(str(uuid.uuid4()), "1500")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ReserveStock(request, metadata=orders)
    assert (caught.value.code(), reason(caught.value)) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        "OUT_OF_STOCK",
    )
    await stub.ReceiveStock(receipt(lot), metadata=owner)
    assert (await stub.ReserveStock(request, metadata=orders)).state == pb.RESERVATION_STATE_HELD


async def test_ids_in_capitals_name_the_same_things(service, stub, owner, orders, lot):
    await stub.ReceiveStock(receipt(lot.upper(), "6", venue_id=VENUE.upper()), metadata=owner)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ReceiveStock(receipt(lot, "6"), metadata=owner)
    assert reason(caught.value) == "QUANTITY_EXCEEDED"
    held = await stub.ReserveStock(
        reservation(str(uuid.uuid4()).upper(), "10", lot_id=lot.upper()), metadata=orders
    )
    (event,) = await service.published("inventory.reserved")
    assert (held.allocations[0].lot_id, event.aggregate_id) == (lot, held.order_id.lower())


async def quarantine(service, stub, lot: str, recall_id: str) -> pb.QuarantineLotsResponse:
    request = pb.QuarantineLotsRequest(
        request_id=str(uuid.uuid4()), recall_id=recall_id, lot_ids=[lot], reason="salmonella"
    )
    as_crops = service.signer.service("crops", "inventory.stock.quarantine")
    return await stub.QuarantineLots(request, metadata=as_crops)


async def test_crops_has_lots_blocked_and_their_end_frees_them(service, stub, owner, orders, lot):
    received = await stub.ReceiveStock(receipt(lot), metadata=owner)
    order_id, recall_id = str(uuid.uuid4()), str(uuid.uuid4())
    await stub.ReserveStock(reservation(order_id, "500"), metadata=orders)
    found = await quarantine(service, stub, lot.upper(), recall_id.upper())
    assert (list(found.stock_item_ids), found.affected_order_count) == ([received.stock_item_id], 1)
    found = await quarantine(service, stub, lot, recall_id)
    assert (list(found.stock_item_ids), found.affected_order_count) == ([], 0)
    consume = pb.ConsumeReservationRequest(request_id=str(uuid.uuid4()), order_id=order_id)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ConsumeReservation(consume, metadata=orders)
    assert reason(caught.value) == "LOT_QUARANTINED"
    await service.deliver("crop.recall-released", LotRecallReleased(lot_id=lot, recall_id=recall_id))
    consumed = await stub.ConsumeReservation(consume, metadata=orders)
    assert consumed.state == pb.RESERVATION_STATE_CONSUMED
    assert len(await service.published("inventory.quarantine-lifted")) == 1


async def test_events_of_holds_keep_the_stock_from_being_promised(service, stub, owner, orders, lot):
    received = await stub.ReceiveStock(receipt(lot), metadata=owner)
    request = pb.GetStockItemRequest(stock_item_id=received.stock_item_id)
    await service.deliver("crop.held", LotHeld(lot_id=lot, reason="a rumour"))
    item = await stub.GetStockItem(request, metadata=owner)
    assert (item.held, item.quarantined, item.available.amount) == (True, False, "0")
    await service.deliver("crop.hold-released", LotHoldReleased(lot_id=lot))
    assert await stub.GetStockItem(request, metadata=owner) == received


async def test_a_recall_with_a_name_is_left_to_its_call(service, stub, owner, lot):
    await stub.ReceiveStock(receipt(lot), metadata=owner)
    await service.deliver("crop.recalled", LotRecalled(lot_id=lot, reason="r", recall_id=str(uuid.uuid4())))
    assert await service.published("inventory.quarantined") == []


async def test_a_recall_event_without_a_name_blocks_the_stock(service, stub, owner, orders, lot):
    received = await stub.ReceiveStock(receipt(lot), metadata=owner)
    await service.deliver("crop.recalled", LotRecalled(lot_id=lot, reason="salmonella"))
    request = pb.GetStockItemRequest(stock_item_id=received.stock_item_id)
    item = await stub.GetStockItem(request, metadata=owner)
    assert (item.quarantined, item.available.amount, item.on_hand.amount) == (True, "0", "4")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ReserveStock(reservation(str(uuid.uuid4()), "1"), metadata=orders)
    assert reason(caught.value) == "OUT_OF_STOCK"
    assert len(await service.published("inventory.quarantined")) == 1


async def test_a_guest_sees_no_stock_and_a_strangers_venue_is_closed(service, stub):
    request = pb.ListStockRequest(venue_id=VENUE)
    for permissions, expected in (((), "PERMISSION_DENIED"), (("inventory.stock.read",), "NOT_OWNER")):
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await stub.ListStock(request, metadata=service.signer.user(SOUP, *permissions))
        assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.PERMISSION_DENIED, expected)


async def test_receipts_and_splits_that_race_never_take_more_than_the_lot(service, crops, stub, owner, lot):
    commands = crops_pb2_grpc.CropCommandServiceStub(crops.channel)
    grower = crops.signer.user(GROWER, "crops.lots.transfer")

    async def split(number: int) -> Decimal:
        part = crops_pb2.Part(lot_code=f"P{number}", quantity=Quantity(amount="1500", unit_code="GRM"))
        request = crops_pb2.SplitLotRequest(request_id=str(uuid.uuid4()), lot_id=lot, parts=[part])
        made = await commands.SplitLot(request, metadata=grower)
        return Decimal(made.parts[0].quantity.amount)

    async def receive() -> Decimal:
        item = await stub.ReceiveStock(receipt(lot, "1.5"), metadata=owner)
        return Decimal(item.on_hand.amount)

    calls = [call for number in range(8) for call in (split(number), receive())]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    refusals = {reason(each) for each in outcomes if isinstance(each, grpc.aio.AioRpcError)}
    assert refusals <= {"QUANTITY_EXCEEDED", "CONCURRENT_CHANGE", "RECEIPT_FAILED"}
    taken = sum(each for each in outcomes if isinstance(each, Decimal))
    received = await service.runtime.database.fetchval("SELECT sum(on_hand) FROM stock_item")
    queries = crops_pb2_grpc.CropQueryServiceStub(crops.channel)
    asking = crops.signer.user(GROWER, "crops.lots.read")
    left = await queries.GetLot(crops_pb2.GetLotRequest(lot_id=lot), metadata=asking)
    assert Decimal(left.committed_quantity.amount) == received
    assert Decimal(left.quantity.amount) - received + taken == 10
    assert taken <= 10
