"""Many guests, few portions."""

import asyncio
from collections import Counter
from decimal import Decimal

from fleet.client import CallFailed, RpcEdge, Session
from fleet.client.json_edge import JsonEdge
from fleet.demo.requests import new_request_id
from fleet.testing.running import RunningFleet
from greenledger.inventory.v1 import inventory_pb2
from greenledger.orders.v1 import orders_pb2
from greenledger.payments.v1 import payments_pb2
from tests.e2e.people import newcomer, open_shop

BUYERS = 200
PORTIONS = 50


async def test_of_200_concurrent_checkouts_for_the_last_50_portions_exactly_50_succeed(
    fleet: RunningFleet,
) -> None:
    async with RpcEdge(fleet.edge_url) as rpc, JsonEdge(fleet.edge_url, timeout_s=60) as json:
        shop = await open_shop(rpc, portions=PORTIONS)
        guests = [(await newcomer(rpc, "guest"))[1] for _ in range(10)]
        start = asyncio.Barrier(BUYERS)

        async def buy(number: int) -> str:
            await start.wait()
            return await _checkout(json, guests[number % len(guests)], shop.menu_item_id)

        outcomes = Counter(await asyncio.gather(*(buy(number) for number in range(BUYERS))))
        refused = BUYERS - PORTIONS
        assert outcomes == {"FULFILLED": PORTIONS, "400 FAILED_PRECONDITION OUT_OF_STOCK": refused}

        request = inventory_pb2.ListStockRequest(venue_id=shop.venue_id)
        (item,) = (await rpc.call(rpc.inventory.ListStock, request, shop.manager)).stock_items
        assert Decimal(item.on_hand.amount) == Decimal(item.reserved.amount) == 0
        assert Decimal(item.available.amount) == 0
        captured = [await _captured(rpc, guest) for guest in guests]
        assert sum(captured) == PORTIONS, "each that succeeded was paid once, and nothing else was"


async def test_the_same_checkout_sent_many_times_at_once_is_one_order(fleet: RunningFleet) -> None:
    async with RpcEdge(fleet.edge_url) as rpc:
        shop = await open_shop(rpc, portions=5)
        _, guest = await newcomer(rpc, "guest")
        request = orders_pb2.CheckoutRequest(
            request_id=new_request_id(),
            payment_method="pm_card",
            items=[orders_pb2.CartItem(menu_item_id=shop.menu_item_id, quantity=1)],
        )
        answers = await asyncio.gather(*(rpc.call(rpc.orders.Checkout, request, guest) for _ in range(10)))
        assert len({order.order_id for order in answers}) == 1
        listed = await rpc.call(rpc.orders.ListOrders, orders_pb2.ListOrdersRequest(), guest)
        assert len(listed.orders) == 1
        assert await _captured(rpc, guest) == 1


async def _checkout(edge: JsonEdge, guest: Session, menu_item_id: str) -> str:
    body = {
        "requestId": new_request_id(),
        "paymentMethod": "pm_card",
        "items": [{"menuItemId": menu_item_id, "quantity": 1}],
    }
    while True:
        try:
            order = await edge.post("/api/orders", body, guest)
        except CallFailed as error:
            if error.reason in ("CHECKOUT_UNDER_WAY", "DEADLINE_EXPIRED", "OVERLOADED", "UNAVAILABLE"):
                # The outcome is not known yet; the same request_id finds it.
                continue
            return f"{error.http_status} {error.code} {error.reason}"
        return str(order["state"]).removeprefix("ORDER_STATE_")


async def _captured(edge: RpcEdge, guest: Session) -> int:
    request = payments_pb2.ListPaymentsRequest(
        page_size=1000, state=payments_pb2.PaymentState.PAYMENT_STATE_CAPTURED
    )
    return len((await edge.call(edge.payments.ListPayments, request, guest)).payments)
