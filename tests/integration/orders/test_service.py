"""Orders behind its real server, with the real catalog, inventory and payments behind theirs."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta

import grpc
import pytest
import pytest_asyncio
from google.type.money_pb2 import Money as MoneyProto

from chassis.clock import SystemClock
from chassis.quantity import Quantity
from chassis.testing import PostgresServer
from chassis.testing.service import Metadata, ServiceUnderTest, TokenSigner, serve
from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from greenledger.common.v1.quantity_pb2 import Quantity as QuantityProto
from greenledger.orders.v1 import orders_pb2 as pb
from greenledger.orders.v1.orders_pb2_grpc import OrderServiceStub
from interceptors.testing import SignedChain, reason
from services.auth.domain.roles import SERVICE_SCOPES
from services.catalog.wiring import wire as wire_catalog
from services.inventory.adapters.db import PostgresStock
from services.inventory.domain.stock import StockItem
from services.inventory.wiring import wire as wire_inventory
from services.orders.wiring import wire as wire_orders
from services.payments.wiring import wire as wire_payments
from tests.integration.orders.conftest import ANN, BOB, OWNER

WIRES = {
    "catalog": wire_catalog,
    "inventory": wire_inventory,
    "payments": wire_payments,
    "orders": wire_orders,
}


@dataclass
class Fleet:
    """The services, and a soup of which three portions are in stock."""

    services: dict[str, ServiceUnderTest]
    venue_id: str
    soup: str

    @property
    def stub(self) -> OrderServiceStub:
        return OrderServiceStub(self.services["orders"].channel)

    def guest(self, subject: str = ANN, *further: str) -> Metadata:
        signer = self.services["orders"].signer
        return signer.user(subject, "orders.cart", "orders.checkout", *further)

    async def check_out(self, quantity: int = 1, **changes: object) -> pb.Order:
        items = [pb.CartItem(menu_item_id=self.soup, quantity=quantity)]
        facts = {"request_id": str(uuid.uuid4()), "payment_method": "pm_card", "items": items} | changes
        return await self.stub.Checkout(pb.CheckoutRequest(**facts), metadata=self.guest(), timeout=20)


@pytest_asyncio.fixture
async def fleet(postgres_server: PostgresServer) -> AsyncIterator[Fleet]:
    signer, services = TokenSigner(), {}
    peers = {"crops": "127.0.0.1:1"}
    async with AsyncExitStack() as stack:
        for name, wire in WIRES.items():
            dsn = await stack.enter_async_context(postgres_server.database(name))
            chain = SignedChain(signer, SERVICE_SCOPES)
            running = serve(name, wire, chain, dsn, signer, peers=dict(peers))
            services[name] = await stack.enter_async_context(running)
            peers[name] = services[name].address
        yield await stocked(services, signer)


async def stocked(services: dict[str, ServiceUnderTest], signer: TokenSigner) -> Fleet:
    catalog = catalog_pb2_grpc.CatalogServiceStub(services["catalog"].channel)
    owner = signer.user(OWNER, "catalog.venues.write", "catalog.menu.write")
    address = catalog_pb2.Address(city="Oslo", country_code="NO")
    venue = await catalog.CreateVenue(
        catalog_pb2.CreateVenueRequest(request_id=str(uuid.uuid4()), name="Bistro", address=address),
        metadata=owner,
    )
    leek = catalog_pb2.Ingredient(product_code="leek", quantity=QuantityProto(amount="250", unit_code="GRM"))
    soup = await catalog.CreateMenuItem(
        catalog_pb2.CreateMenuItemRequest(
            request_id=str(uuid.uuid4()),
            venue_id=venue.venue_id,
            name="Soup",
            price=MoneyProto(currency_code="USD", units=33, nanos=330_000_000),
            ingredients=[leek],
        ),
        metadata=owner,
    )
    now = SystemClock().now()
    item = StockItem(
        stock_item_id=str(uuid.uuid4()),
        venue_id=venue.venue_id,
        lot_id=str(uuid.uuid4()),
        product_code="leek",
        on_hand=Quantity.of("0.75", "KGM"),
        reserved=Quantity.of(0, "KGM"),
        expires_at=now + timedelta(days=1),
        received_at=now,
    )
    await PostgresStock(services["inventory"].runtime.database).add(item)
    return Fleet(services, venue.venue_id, soup.menu_item_id)


async def refused(call) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return caught.value.code(), reason(caught.value)


async def test_a_cart_becomes_a_paid_order_over_all_services(fleet: Fleet):
    add = pb.SetCartItemRequest(menu_item_id=fleet.soup.upper(), quantity=3)
    cart = await fleet.stub.SetCartItem(add, metadata=fleet.guest())
    assert (cart.venue_id, cart.items[0].menu_item_id) == (fleet.venue_id, fleet.soup)
    order = await fleet.check_out(items=[])
    assert (order.state, order.total.units) == (pb.ORDER_STATE_FULFILLED, 99)
    stock = fleet.services["inventory"].runtime.database
    left = await stock.fetchrow("SELECT on_hand, reserved FROM stock_item")
    assert (float(left["on_hand"]), float(left["reserved"])) == (0, 0)
    paid = await fleet.services["payments"].runtime.database.fetchrow("SELECT state, order_id FROM payment")
    assert (paid["state"], str(paid["order_id"])) == ("CAPTURED", order.order_id)
    assert not (await fleet.stub.GetCart(pb.GetCartRequest(), metadata=fleet.guest())).items


async def test_the_last_portions_go_to_as_many_orders_and_the_rest_hear_why(fleet: Fleet):
    outcomes = await asyncio.gather(*(fleet.check_out() for _ in range(8)), return_exceptions=True)
    errors = [each for each in outcomes if isinstance(each, grpc.aio.AioRpcError)]
    assert {(each.code(), reason(each)) for each in errors} == {
        (grpc.StatusCode.FAILED_PRECONDITION, "OUT_OF_STOCK")
    }
    assert len(outcomes) - len(errors) == 3


async def test_a_declined_payment_leaves_the_stock_free(fleet: Fleet):
    declined = (grpc.StatusCode.FAILED_PRECONDITION, "PAYMENT_DECLINED")
    assert await refused(fleet.check_out(3, payment_method="pm_declined")) == declined
    assert await refused(fleet.check_out(2)) == declined  # they cost the magic 66.66
    assert (await fleet.check_out(3)).state == pb.ORDER_STATE_FULFILLED


async def test_a_watcher_hears_each_state_and_then_the_end(fleet: Fleet):
    order = await fleet.check_out()
    request = pb.WatchOrderRequest(order_id=order.order_id)
    told = [each async for each in fleet.stub.WatchOrder(request, metadata=fleet.guest())]
    assert [each.order.state for each in told] == [1, 2, 3, 4]
    assert [each.final for each in told] == [False, False, False, True]
    assert told[-1].order == order
    resumed = fleet.stub.WatchOrder(
        pb.WatchOrderRequest(order_id=order.order_id, resume_token=told[1].resume_token),
        metadata=fleet.guest(),
    )
    assert [each async for each in resumed] == told[2:]
    ended = fleet.stub.WatchOrder(
        pb.WatchOrderRequest(order_id=order.order_id, resume_token=told[-1].resume_token),
        metadata=fleet.guest(),
    )
    (last,) = [each async for each in ended]
    assert (last.final, last.HasField("order")) == (True, False)


async def read(stream) -> None:
    async for _ in stream:
        pass


async def test_a_watch_of_nothing_or_with_a_foreign_token_is_refused(fleet: Fleet):
    first, second = await fleet.check_out(), await fleet.check_out()
    watch = fleet.stub.WatchOrder
    told = [
        each async for each in watch(pb.WatchOrderRequest(order_id=first.order_id), metadata=fleet.guest())
    ]
    foreign = pb.WatchOrderRequest(order_id=second.order_id, resume_token=told[0].resume_token)
    assert await refused(read(watch(foreign, metadata=fleet.guest()))) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "RESUME_TOKEN_INVALID",
    )
    other = pb.WatchOrderRequest(order_id=first.order_id)
    assert await refused(read(watch(other, metadata=fleet.guest(BOB)))) == (
        grpc.StatusCode.NOT_FOUND,
        "ORDER_NOT_FOUND",
    )


async def test_a_venue_sees_its_orders_and_a_stranger_sees_none(fleet: Fleet):
    made = [(await fleet.check_out()).order_id for _ in range(3)]
    owner, seen, token = fleet.guest(OWNER, "orders.venue.read"), [], ""
    for _ in range(2):
        request = pb.ListOrdersRequest(venue_id=fleet.venue_id, page_size=2, page_token=token)
        page = await fleet.stub.ListOrders(request, metadata=owner)
        seen, token = [*seen, *(order.order_id for order in page.orders)], page.next_page_token
    assert (seen, token) == (made[::-1], "")
    request = pb.ListOrdersRequest(venue_id=fleet.venue_id)
    assert not (await fleet.stub.ListOrders(request, metadata=fleet.guest(BOB))).orders


async def test_a_service_that_is_away_ends_the_checkout_clearly(fleet: Fleet):
    await fleet.services["catalog"].runtime.database.close()
    assert (await refused(fleet.check_out()))[0] is grpc.StatusCode.UNAVAILABLE
