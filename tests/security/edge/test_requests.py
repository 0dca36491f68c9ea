"""What a hostile request cannot do at the edge."""

import uuid
from collections.abc import Iterator

import httpx
import pytest

from greenledger.orders.v1 import orders_pb2
from tests.integration.edge.harness import Edge
from tests.integration.edge.services import CRASHING
from tests.integration.edge.shape import error_of, grpc_error, reason_of, violations_of

ID = "6f0e1f5e-8a52-4d5b-9f55-3d3c2b1a0f9e"

IDENTITY = {
    "x-greenledger-principal": "operator",
    "x-greenledger-nowhere": "orders",
    "x-jwt-payload": "e30",
    "x-jwt-sub": "operator",
    "x-auth-request-user": "operator",
    "x-forwarded-user": "operator",
    "x-forwarded-email": "operator@example.org",
    "x-forwarded-client-cert": "By=spiffe://operator",
    "x-forwarded-host": "evil.example",
    "x-remote-user": "operator",
    "remote-user": "operator",
    "x-principal": "operator",
    "x-roles": "operator",
    "x-permissions": "all",
    "x-real-ip": "203.0.113.9",
    "forwarded": "for=203.0.113.9",
    "x-envoy-retry-on": "5xx",
    "x-envoy-max-retries": "50",
    "x-envoy-upstream-rq-timeout-ms": "1",
}
# These arrive, as the edge writes them from the verified token.
CALLER = {"x-user-id": "operator", "x-user-role": "operator"}
CLAIMED = IDENTITY | CALLER


def _arrived(edge: Edge) -> tuple[set[str], set[str]]:
    """Of what the last call's caller claimed: names that arrived, and those whose value did."""
    seen = edge.services.last("GetCart").metadata
    return seen.keys() & CLAIMED.keys(), {name for name in seen if seen[name] == CLAIMED.get(name)}


def test_identity_headers_from_outside_do_not_reach_a_service(edge: Edge) -> None:
    edge.http.get("/api/cart", headers={**edge.bearer(), **CLAIMED})
    assert _arrived(edge) == (CALLER.keys(), set())


def test_nor_do_they_in_other_letters_or_over_grpc(edge: Edge) -> None:
    edge.http.get("/api/cart", headers={**edge.bearer(), "X-User-ID": "operator", "X-GreenLedger-A": "b"})
    assert not [name for name in edge.services.last("GetCart").metadata if name.startswith("x-greenledger")]
    assert _arrived(edge) == (CALLER.keys(), set())
    edge.http.post(
        "/greenledger.orders.v1.OrderService/GetCart",
        headers={**edge.bearer(), "content-type": "application/grpc-web+proto", **CLAIMED},
        content=b"\0\0\0\0\0",
    )
    assert _arrived(edge) == (CALLER.keys(), set())


def test_the_address_of_a_caller_is_what_the_edge_saw(edge: Edge) -> None:
    edge.http.get("/api/cart", headers={**edge.bearer(), "x-forwarded-for": "203.0.113.9"})
    assert "203.0.113.9" not in edge.services.last("GetCart").metadata["x-forwarded-for"]


def test_a_body_may_have_a_mebibyte_and_not_a_byte_more(edge: Edge) -> None:
    limit = edge.settings.body_limit_bytes
    frame = len(b'{"paymentMethod":""}')
    fits = b'{"paymentMethod":"' + b"x" * (limit - frame) + b'"}'
    assert len(fits) == limit
    json_body = {**edge.bearer(), "content-type": "application/json"}
    assert edge.http.post("/api/orders", headers=json_body, content=fits).status_code == 200
    reply = edge.http.post("/api/orders", headers=json_body, content=fits + b" ")
    assert (reply.status_code, reason_of(reply)) == (413, "REQUEST_TOO_LARGE")


def test_a_body_of_unsaid_length_is_limited_too(edge: Edge) -> None:
    def pieces() -> Iterator[bytes]:
        yield b'{"paymentMethod":"'
        for _ in range(300):
            yield b"x" * 4096
        yield b'"}'

    json_body = {**edge.bearer(), "content-type": "application/json"}
    reply = edge.http.post("/api/orders", headers=json_body, content=pieces())
    assert (reply.status_code, reason_of(reply)) == (413, "REQUEST_TOO_LARGE")


def test_headers_are_limited(edge: Edge) -> None:
    reply = edge.http.get("/api/cart", headers={**edge.bearer(), "x-large": "x" * 40_000})
    assert (reply.status_code, reason_of(reply)) == (431, "REQUEST_TOO_LARGE")
    many = {f"x-many-{number}": "x" for number in range(200)}
    assert edge.http.get("/api/cart", headers={**edge.bearer(), **many}).status_code in (400, 431)


def test_an_unknown_field_is_refused_before_the_service_sees_anything(edge: Edge) -> None:
    before = len(edge.services.calls)
    body = {"requestId": ID, "paymentMethod": "card", "items": [{"menuItemId": ID, "qty": 1}]}
    reply = edge.http.post("/api/orders", headers=edge.bearer(), json=body)
    assert (reply.status_code, reason_of(reply)) == (400, "UNKNOWN_FIELD")
    assert violations_of(reply) == ["items[0].qty"]
    assert "Checkout" not in [call.method for call in edge.services.calls[before:]]


def test_a_body_cannot_name_another_resource_than_the_path(edge: Edge) -> None:
    own, other = str(uuid.uuid4()), str(uuid.uuid4())
    for path, verb in (("/api/cart/items/", "PUT"), ("/api/menu-items/", "PATCH")):
        reply = edge.http.request(verb, path + own, headers=edge.bearer(), json={"menuItemId": other})
        assert (reply.status_code, reason_of(reply)) == (400, "MALFORMED_REQUEST")
        assert violations_of(reply) == ["menuItemId"]
        same = edge.http.request(verb, path + own, headers=edge.bearer(), json={"menu_item_id": own})
        assert same.status_code == 200


def test_a_text_of_an_identifier_cannot_reach_into_the_error(edge: Edge) -> None:
    body = {'"}]},{"x":"<script>': 1}
    reply = edge.http.post("/api/orders", headers=edge.bearer(), json=body)
    assert violations_of(reply) == ['"}]},{"x":"<script>']
    assert "<script>" not in reply.text


def test_nothing_of_the_inside_is_told(edge: Edge) -> None:
    crashed = edge.http.get(f"/api/orders/{CRASHING}", headers=edge.bearer())
    assert (crashed.status_code, reason_of(crashed)) == (500, "INTERNAL")
    down = edge.http.get(f"/api/trace/orders/{ID}", headers=edge.bearer())
    for reply in (crashed, down):
        assert not {"secret", "127.0.0.1", "connection", "Traceback"} & set(
            error_of(reply)["message"].split()
        )
        assert not [name for name in reply.headers if name.startswith("x-envoy")]
        assert reply.headers["server"] == "greenledger"
    assert "secret" not in crashed.text


def test_a_grpc_call_cannot_pose_as_json(edge: Edge) -> None:
    # The header by which the edge knows a transcoded call is stripped from outside.
    request = orders_pb2.GetOrderRequest(order_id=ID).SerializeToString()
    headers = {"content-type": "application/grpc-web+proto", "x-envoy-original-path": "/api/cart"}
    reply = edge.http.post(
        "/greenledger.orders.v1.OrderService/GetOrder", headers=headers, content=b"\0\0\0\0&" + request
    )
    assert reply.headers["grpc-status"] == "16"


@pytest.mark.parametrize("path", ["/api//cart", "/api/./cart", "/api/x/../cart", "/%61pi/cart"])
def test_another_spelling_of_a_path_is_protected_as_the_path_is(edge: Edge, path: str) -> None:
    # The client is kept from normalizing the path by itself.
    url = httpx.URL(edge.url).copy_with(raw_path=path.encode())
    assert edge.http.get(url).status_code in (401, 404)


def test_the_administration_is_not_reachable_through_the_edge(edge: Edge) -> None:
    for path in ("/stats", "/config_dump", "/quitquitquit", "/ready", "/server_info"):
        assert edge.http.get(path, headers=edge.bearer()).status_code == 404


def test_methods_of_operators_are_not_served_outside(edge: Edge) -> None:
    method = "/greenledger.operations.v1.OperationsService/ListSagas"
    assert grpc_error(edge.target, method, token=edge.services.token) == ("UNIMPLEMENTED", "METHOD_UNKNOWN")
