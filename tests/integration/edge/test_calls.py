"""The three ways to call a service through the edge."""

import base64
import json
import uuid

import grpc
import httpx
import pytest

from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from tests.integration.edge.harness import Edge
from tests.integration.edge.services import MISSING
from tests.integration.edge.shape import error_of, reason_of, web_frame, web_frames

ID = "6f0e1f5e-8a52-4d5b-9f55-3d3c2b1a0f9e"


def checkout() -> dict[str, object]:
    return {"requestId": ID, "payment_method": "card", "items": [{"menuItemId": ID, "quantity": 2}]}


def test_a_json_body_reaches_the_service_as_its_message(edge: Edge) -> None:
    reply = edge.http.post("/api/orders", headers=edge.bearer(), json=checkout())
    assert reply.status_code == 200
    request = edge.services.last("Checkout").request
    assert request == orders_pb2.CheckoutRequest(
        request_id=ID, payment_method="card", items=[orders_pb2.CartItem(menu_item_id=ID, quantity=2)]
    )


def test_a_reply_is_json_in_lower_camel_case_with_exact_64_bit_integers(edge: Edge) -> None:
    body = edge.http.post("/api/orders", headers=edge.bearer(), json=checkout()).json()
    assert body["lines"] == [{"menuItemId": ID, "name": "", "quantity": 2}]
    assert body["state"] == "ORDER_STATE_PAID"
    assert body["total"]["units"] == "9007199254740993"


def test_work_that_goes_on_elsewhere_is_accepted_with_its_place(edge: Edge) -> None:
    begun = edge.http.post("/api/epcis/capture", headers=edge.bearer(), json={"requestId": ID})
    assert (begun.status_code, begun.headers["location"]) == (202, f"/api/epcis/capture/{ID}")
    assert begun.json()["jobId"] == ID
    chunk = bytes(range(256)) * 2_700
    part = {"index": 0, "chunk": base64.b64encode(chunk).decode()}
    sent = edge.http.post(f"{begun.headers['location']}/parts", headers=edge.bearer(), json=part)
    assert (sent.status_code, sent.json()["size"]) == (200, str(len(chunk)))
    assert edge.services.last("AddCapturePart").request.chunk == chunk


def test_path_and_query_fill_the_request(edge: Edge) -> None:
    edge.http.get("/api/orders?pageSize=7&page_token=a%2Bb&state=ORDER_STATE_PAID", headers=edge.bearer())
    assert edge.services.last("ListOrders").request == orders_pb2.ListOrdersRequest(
        page_size=7, page_token="a+b", state=orders_pb2.ORDER_STATE_PAID
    )
    edge.http.get(f"/api/menu-items/{ID}", headers=edge.bearer())
    assert edge.services.last("GetMenuItem").request.menu_item_id == ID


def test_a_patch_sends_the_resource_and_its_mask(edge: Edge) -> None:
    reply = edge.http.patch(
        f"/api/menu-items/{ID}?updateMask=name,description", headers=edge.bearer(), json={"name": "Soup"}
    )
    assert reply.status_code == 200
    request = edge.services.last("UpdateMenuItem").request
    assert (request.menu_item.menu_item_id, request.menu_item.name) == (ID, "Soup")
    assert list(request.update_mask.paths) == ["name", "description"]


def test_a_literal_path_wins_over_a_variable_one(edge: Edge) -> None:
    assert edge.http.get("/api/users/me", headers=edge.bearer()).json()["userId"] == "me"


def test_a_service_error_keeps_its_reason_and_metadata_as_json(edge: Edge) -> None:
    reply = edge.http.get(f"/api/orders/{MISSING}", headers=edge.bearer())
    assert reply.status_code == 404
    assert reason_of(reply) == "ORDER_NOT_FOUND"
    assert error_of(reply)["details"][0]["metadata"] == {"orderId": "x"}


def test_a_stream_arrives_as_one_json_object_per_line_and_ends(edge: Edge) -> None:
    with edge.http.stream("GET", f"/api/orders/{ID}:watch", headers=edge.bearer()) as reply:
        assert reply.status_code == 200
        assert reply.headers["content-type"] == "application/x-ndjson"
        messages = [json.loads(line) for line in reply.iter_lines() if line]
    assert [message["order"]["state"] for message in messages] == ["ORDER_STATE_PENDING", "ORDER_STATE_PAID"]
    assert [message["final"] for message in messages] == [False, True]


def test_a_stream_that_is_refused_is_an_error_as_any_other(edge: Edge) -> None:
    reply = edge.http.get(f"/api/orders/{ID}:watch")
    assert (reply.status_code, reason_of(reply)) == (401, "TOKEN_MISSING")
    reply = edge.http.get(f"/api/orders/{MISSING}:watch", headers=edge.bearer())
    assert (reply.status_code, reason_of(reply)) == (404, "ORDER_NOT_FOUND")


async def test_grpc_clients_call_and_watch_on_the_same_port(edge: Edge) -> None:
    metadata = tuple(edge.bearer().items())
    async with grpc.aio.insecure_channel(edge.target) as channel:
        stub = orders_pb2_grpc.OrderServiceStub(channel)
        order = await stub.GetOrder(orders_pb2.GetOrderRequest(order_id=ID), metadata=metadata)
        assert order.order_id == ID
        stream = stub.WatchOrder(orders_pb2.WatchOrderRequest(order_id=ID), metadata=metadata)
        assert [message.final async for message in stream] == [False, True]


def test_grpc_web_gets_message_and_trailers_in_the_body(edge: Edge) -> None:
    reply = edge.http.post(
        "/greenledger.orders.v1.OrderService/GetOrder",
        headers={**edge.bearer(), "content-type": "application/grpc-web+proto", "x-grpc-web": "1"},
        content=web_frame(orders_pb2.GetOrderRequest(order_id=ID).SerializeToString()),
    )
    messages, trailers = web_frames(reply.content)
    assert reply.headers["content-type"] == "application/grpc-web+proto"
    assert orders_pb2.Order.FromString(messages[0]).order_id == ID
    assert trailers["grpc-status"] == "0"


def test_grpc_web_errors_carry_status_and_message(edge: Edge) -> None:
    call = {"content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
    path = "/greenledger.orders.v1.OrderService/GetOrder"
    refused = edge.http.post(path, headers=call, content=web_frame(b""))
    assert (refused.headers["grpc-status"], refused.headers["grpc-message"]) == (
        str(grpc.StatusCode.UNAUTHENTICATED.value[0]),
        "This method needs a token.",
    )
    missing = orders_pb2.GetOrderRequest(order_id=MISSING).SerializeToString()
    failed = edge.http.post(path, headers={**edge.bearer(), **call}, content=web_frame(missing))
    assert (failed.headers["grpc-status"], failed.headers["grpc-message"]) == ("5", "There is no such order.")


def test_request_id_and_trace_pass_through(edge: Edge) -> None:
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    own = {"x-request-id": ID, "traceparent": trace, "tracestate": "a=b"}
    reply = edge.http.get("/api/cart", headers={**edge.bearer(), **own})
    seen = edge.services.last("GetCart").metadata
    assert {name: seen[name] for name in own} == own
    assert reply.headers["x-request-id"] == ID


def test_a_request_without_an_id_is_given_one(edge: Edge) -> None:
    reply = edge.http.get("/api/cart", headers=edge.bearer())
    given = edge.services.last("GetCart").metadata["x-request-id"]
    assert uuid.UUID(given).version == 4
    assert reply.headers["x-request-id"] == given


def test_the_service_is_told_how_long_a_json_caller_is_waited_for(edge: Edge) -> None:
    edge.http.get("/api/cart", headers=edge.bearer())
    remaining_s = edge.services.last("GetCart").time_remaining_s
    assert remaining_s is not None
    assert 0 < remaining_s <= edge.settings.deadline_s


def test_a_grpc_caller_keeps_its_own_deadline(edge: Edge) -> None:
    with grpc.insecure_channel(edge.target) as channel:
        call = channel.unary_unary("/greenledger.orders.v1.OrderService/GetCart")
        call(b"", metadata=tuple(edge.bearer().items()), timeout=5)
    remaining_s = edge.services.last("GetCart").time_remaining_s
    assert remaining_s is not None
    # grpc-timeout is written with few digits, rounded up: a little more than 5 s may arrive.
    assert 0 < remaining_s < 5.5


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/docs", "text/html; charset=utf-8"),
        ("/docs/docs.js", "text/javascript; charset=utf-8"),
        ("/docs/docs.css", "text/css; charset=utf-8"),
        ("/openapi.json", "application/json"),
    ],
)
def test_the_edge_serves_its_pages_with_a_strict_policy(edge: Edge, path: str, kind: str) -> None:
    reply = edge.http.get(path)
    assert reply.status_code == 200
    assert reply.headers["content-type"] == kind
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self'")
    assert reply.headers["x-content-type-options"] == "nosniff"
    assert "http://" not in reply.text.replace("http://www.w3.org", "") or path == "/openapi.json"


def test_the_openapi_document_describes_what_the_edge_routes(edge: Edge) -> None:
    paths = edge.http.get("/openapi.json").json()["paths"]
    for path, item in paths.items():
        for verb in item.keys() & {"get", "post", "put", "patch", "delete"}:
            sent = path.replace("{", "").replace("}", "")
            reply = edge.http.request(
                verb,
                sent,
                headers=edge.bearer("not.a.token"),
                json={} if item[verb].get("requestBody") else None,
            )
            assert reply.status_code == 401, (verb, path, reply.text)


def test_the_root_leads_to_the_documentation(edge: Edge) -> None:
    reply = edge.http.get("/")
    assert reply.status_code == 302
    assert httpx.URL(reply.headers["location"]).path == "/docs"


def test_scripts_of_listed_origins_may_call_and_others_may_not(edge: Edge) -> None:
    ask = {"access-control-request-method": "POST", "access-control-request-headers": "authorization"}
    allowed = edge.http.options("/api/orders", headers={"origin": "https://app.example", **ask})
    assert allowed.headers["access-control-allow-origin"] == "https://app.example"
    assert "authorization" in allowed.headers["access-control-allow-headers"]
    refused = edge.http.options("/api/orders", headers={"origin": "https://evil.example", **ask})
    assert "access-control-allow-origin" not in refused.headers
