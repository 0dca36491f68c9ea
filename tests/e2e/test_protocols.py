"""One edge, four ways to call it: JSON, gRPC, gRPC-Web and a stream of JSON."""

import base64
import json

import httpx

from fleet.client import RpcEdge
from fleet.client.json_edge import JsonEdge
from fleet.demo.requests import new_request_id
from fleet.testing.running import RunningFleet
from greenledger.orders.v1 import orders_pb2
from greenledger.users.v1 import users_pb2
from tests.e2e.people import newcomer, open_shop


async def test_json_and_grpc_tell_the_same_of_one_order(fleet: RunningFleet) -> None:
    async with RpcEdge(fleet.edge_url) as rpc, JsonEdge(fleet.edge_url) as http:
        shop = await open_shop(rpc, portions=2)
        _, guest = await newcomer(rpc, "guest")
        body = {
            "requestId": new_request_id(),
            "paymentMethod": "pm_card",
            "items": [{"menuItemId": shop.menu_item_id, "quantity": 2}],
        }
        by_json = await http.post("/api/orders", body, guest)
        request = orders_pb2.GetOrderRequest(order_id=by_json["orderId"])
        by_rpc = await rpc.call(rpc.orders.GetOrder, request, guest)
        assert by_json["state"] == orders_pb2.OrderState.Name(by_rpc.state) == "ORDER_STATE_FULFILLED"
        assert by_json["total"] == {"currencyCode": "USD", "units": "10", "nanos": 0}
        assert (by_rpc.total.currency_code, by_rpc.total.units, by_rpc.total.nanos) == ("USD", 10, 0)
        assert by_rpc.lines[0].name == by_json["lines"][0]["name"]


async def test_a_browser_calls_over_grpc_web(fleet: RunningFleet) -> None:
    async with RpcEdge(fleet.edge_url) as rpc, JsonEdge(fleet.edge_url) as http:
        person, session = await newcomer(rpc, "guest")
        message = users_pb2.GetMeRequest().SerializeToString()
        frame = b"\x00" + len(message).to_bytes(4) + message
        response = await http.http.post(
            "/greenledger.users.v1.UserService/GetMe",
            content=base64.b64encode(frame),
            headers={
                "content-type": "application/grpc-web-text",
                "accept": "application/grpc-web-text",
                "x-grpc-web": "1",
                "authorization": f"Bearer {await session.bearer()}",
            },
        )
        assert response.status_code == httpx.codes.OK
        data, trailers = _web_frames(response.content)
        assert users_pb2.User.FromString(data).email == person.credentials.email
        assert b"grpc-status:0" in trailers.replace(b" ", b"")


async def test_a_json_caller_watches_an_order_to_its_end(fleet: RunningFleet) -> None:
    async with RpcEdge(fleet.edge_url) as rpc, JsonEdge(fleet.edge_url) as http:
        shop = await open_shop(rpc, portions=1)
        _, guest = await newcomer(rpc, "guest")
        request = orders_pb2.CheckoutRequest(
            request_id=new_request_id(),
            payment_method="pm_card",
            items=[orders_pb2.CartItem(menu_item_id=shop.menu_item_id, quantity=1)],
        )
        order = await rpc.call(rpc.orders.Checkout, request, guest)
        headers = {"authorization": f"Bearer {await guest.bearer()}"}
        async with http.http.stream(
            "GET", f"/api/orders/{order.order_id}:watch", headers=headers
        ) as response:
            assert response.status_code == httpx.codes.OK
            assert response.headers["content-type"] == "application/x-ndjson"
            messages = [json.loads(line) async for line in response.aiter_lines()]
        assert messages[-1]["final"] is True
        assert messages[-1]["order"]["state"] == "ORDER_STATE_FULFILLED"


async def test_health_openapi_and_its_page_are_served_without_a_token(fleet: RunningFleet) -> None:
    async with JsonEdge(fleet.edge_url) as http:
        assert (await http.get("/healthz")) == {"status": "SERVING"}
        page = await http.http.get("/docs", follow_redirects=True)
        assert page.status_code == httpx.codes.OK
        assert "text/html" in page.headers["content-type"]


def _web_frames(body: bytes) -> tuple[bytes, bytes]:
    """The data frame and the trailer frame; the text form may be several base64 runs in a row."""
    raw = b""
    for start in range(0, len(body), 4):
        raw += base64.b64decode(body[start : start + 4])
    frames: dict[int, bytes] = {}
    while raw:
        kind, length = raw[0], int.from_bytes(raw[1:5])
        frames[kind], raw = raw[5 : 5 + length], raw[5 + length :]
    return frames[0x00], frames[0x80]
