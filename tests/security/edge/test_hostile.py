"""Requests that no honest client sends: each is answered in the one shape, and none reaches a service."""

import json
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from fleet.edge import routes
from tests.integration.edge.harness import Edge, running_edge, wait_until
from tests.integration.edge.services import SigningKey
from tests.integration.edge.shape import web_frame
from tests.integration.edge.wire import Answer, call, send

ID = "6f0e1f5e-8a52-4d5b-9f55-3d3c2b1a0f9e"
ORDER = json.dumps(
    {"requestId": ID, "paymentMethod": "card", "items": [{"menuItemId": ID, "quantity": 2}]}
).encode()
JSON = "content-type: application/json"


def reached(edge: Edge, before: int) -> list[str]:
    """Methods that were called since, but for the edge's own reading of keys."""
    return [each.method for each in edge.services.calls[before:] if each.method != "GetJwks"]


@pytest.mark.parametrize(
    ("verb", "target", "status", "reason"),
    [
        # Spellings of a path that only the transcoder would take.
        ("GET", "/api/orders/", 404, "METHOD_UNKNOWN"),
        ("POST", "/api/orders/", 404, "METHOD_UNKNOWN"),
        ("GET", "/api/orders;x=1", 404, "METHOD_UNKNOWN"),
        ("GET", f"/api/crops/{ID}:swap", 404, "METHOD_UNKNOWN"),
        ("GET", "/api/orders#x", 400, "MALFORMED_REQUEST"),
        ("GET", "/api%2Forders", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders/%00", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders/%e9", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders/%zz", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders/%4", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders/\xe9", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders/" + "a" * 40_000, 431, "REQUEST_TOO_LARGE"),
        # A query that says a thing twice, says what path or body say, or says nothing.
        ("GET", "/api/orders?pageSize=1&pageSize=2", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders?pageSize=1&page_size=1", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders?page%53ize=1&pageSize=1", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders?pageSize", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders?=1", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders?pageToken=%ff", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders?pageToken=%", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders?pageSize=99999999999999999999", 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders?state.x=1", 400, "MALFORMED_REQUEST"),
        ("GET", f"/api/orders/{ID}?orderId=other", 400, "MALFORMED_REQUEST"),
        ("GET", f"/api/orders/{ID}?order_id=other", 400, "MALFORMED_REQUEST"),
        ("POST", "/api/orders?paymentMethod=other", 400, "MALFORMED_REQUEST"),
        ("PATCH", f"/api/menu-items/{ID}?menuItem.menuItemId=other", 400, "MALFORMED_REQUEST"),
        ("PATCH", f"/api/menu-items/{ID}?menuItem.name=other", 400, "MALFORMED_REQUEST"),
        # Verbs.
        ("TRACE", "/api/orders", 405, "METHOD_UNKNOWN"),
        ("CONNECT", "edge:80", 404, "METHOD_UNKNOWN"),
        ("OPTIONS", "*", 404, "METHOD_UNKNOWN"),
        ("GET", "*", 400, "MALFORMED_REQUEST"),
        ("NONSENSE", "/api/orders", 400, "MALFORMED_REQUEST"),
        ("POST", "/docs", 405, "METHOD_UNKNOWN"),
        ("DELETE", "/openapi.json", 405, "METHOD_UNKNOWN"),
    ],
)
def test_a_target_that_makes_no_sense_is_refused(
    edge: Edge, verb: str, target: str, status: int, reason: str
) -> None:
    before = len(edge.services.calls)
    body = ORDER if verb == "POST" else b"{}" if verb == "PATCH" else b""
    answer = call(edge, verb, target, JSON, body=body)
    assert (answer.status, answer.reason) == (status, reason)
    assert reached(edge, before) == []


@pytest.mark.parametrize(
    ("headers", "body", "status", "reason"),
    [
        (["transfer-encoding: chunked"], b"0\r\n\r\n", 400, "MALFORMED_REQUEST"),
        (["content-length: 5"], ORDER, 400, "MALFORMED_REQUEST"),
        (["x-a : b"], ORDER, 400, "MALFORMED_REQUEST"),
        (["x-a: b\0c"], ORDER, 400, "MALFORMED_REQUEST"),
        (["nonsense"], ORDER, 400, "MALFORMED_REQUEST"),
        (["connection: authorization"], ORDER, 401, "TOKEN_MISSING"),
        (["content-type: text/plain"], ORDER, 415, "MALFORMED_REQUEST"),
        (["content-encoding: br"], ORDER, 415, "MALFORMED_REQUEST"),
    ],
)
def test_a_request_with_odd_headers_is_refused(
    edge: Edge, headers: list[str], body: bytes, status: int, reason: str
) -> None:
    before = len(edge.services.calls)
    answer = call(edge, "POST", "/api/orders", JSON, *headers, body=body)
    assert (answer.status, answer.reason) == (status, reason)
    assert reached(edge, before) == []


@pytest.mark.parametrize(
    ("header", "status"),
    [
        ("content-length: -5", 400),
        ("content-length: 99999999999", 413),
        ("transfer-encoding: nonsense", 400),
        ("transfer-encoding: chunked", 400),
    ],
)
def test_a_body_of_impossible_length_is_refused_at_once(edge: Edge, header: str, status: int) -> None:
    # The chunk's length is no number.
    answer = call(edge, "POST", "/api/orders", JSON, header, body=b"zz\r\n{}\r\n0\r\n\r\n", length=False)
    assert (answer.status, answer.reason) == (
        status,
        "REQUEST_TOO_LARGE" if status == 413 else "MALFORMED_REQUEST",
    )


@pytest.mark.parametrize("request_line", [b"GET /api/orders HTTP/1.0", b"GET /api/orders", b"\0\1\2"])
def test_what_is_no_http_11_is_refused(edge: Edge, request_line: bytes) -> None:
    answer = send(edge, request_line + b"\r\n\r\n")
    assert (answer.status in (400, 426), answer.reason) == (True, "MALFORMED_REQUEST")


def test_headers_that_ask_for_another_method_are_ignored(edge: Edge) -> None:
    before = len(edge.services.calls)
    others = [f"{name}: DELETE" for name in ("x-http-method-override", "x-method-override", "x-http-method")]
    assert call(edge, "GET", "/api/cart", *others).status == 200
    assert reached(edge, before) == ["GetCart"]


def test_identities_in_trailers_folded_lines_and_underscores_do_not_arrive(edge: Edge) -> None:
    chunks = b"%x\r\n%s\r\n0\r\nx-user-id: operator\r\nauthorization: Bearer x\r\n\r\n" % (len(ORDER), ORDER)
    headers = [JSON, "transfer-encoding: chunked", "x-a: b\r\n x-user-id: operator", "x_user_id: operator"]
    assert call(edge, "POST", "/api/orders", *headers, body=chunks, length=False).status == 200
    seen = edge.services.last("Checkout").metadata
    assert "x_user_id" not in seen
    assert seen["x-user-id"] != "operator", "the edge writes it, from the token"
    assert seen["authorization"] != "Bearer x"


def test_a_head_is_answered_without_a_body(edge: Edge) -> None:
    page = call(edge, "HEAD", "/docs", token="")
    assert (page.status, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert call(edge, "HEAD", "/api/orders").status == 405
    assert call(edge, "HEAD", "/nonsense").status == 404
    wait_until(lambda: '"path":"/nonsense"' in edge.log())
    assert "script log" not in edge.log()


@pytest.mark.parametrize("path", ["/api/orders", "/nonsense"])
def test_a_preflight_from_elsewhere_is_no_outage(edge: Edge, path: str) -> None:
    answer = call(
        edge, "OPTIONS", path, "origin: https://evil.example", "access-control-request-method: POST", token=""
    )
    assert (answer.status, answer.reason) == (404, "METHOD_UNKNOWN")
    assert "access-control-allow-origin" not in answer.headers


class TestBodiesOfStrangers:
    """What an unknown caller may have checked."""

    LARGE = b'{"items":[' + b'{"menuItemId":"x","nonsense":1},' * 30_000 + b"x"

    @pytest.mark.parametrize("token", ["", "not.a.token", "forged"])
    def test_a_bad_token_is_told_before_a_bad_body(self, edge: Edge, token: str) -> None:
        token = SigningKey.new("unknown").token() if token == "forged" else token
        answer = call(edge, "POST", "/api/orders", JSON, body=self.LARGE, token=token)
        assert (answer.status, answer.reason) == (401, "TOKEN_INVALID" if token else "TOKEN_MISSING")

    def test_a_public_method_has_its_body_checked(self, edge: Edge) -> None:
        answer = call(edge, "POST", "/api/auth/login", JSON, body=b'{"nonsense":1}', token="")
        assert (answer.status, answer.reason) == (400, "UNKNOWN_FIELD")

    @pytest.mark.parametrize("said", [True, False])
    def test_a_public_method_takes_small_bodies_only(self, edge: Edge, said: bool) -> None:
        limit = edge.settings.public_body_limit_bytes
        for size, status in ((limit, 200), (limit + 1, 413)):
            frame = len(b'{"password":""}')
            body = b'{"password":"%s"}' % (b"x" * (size - frame))
            framed = body if said else b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            headers = [JSON, *([] if said else ["transfer-encoding: chunked"])]
            answer = call(edge, "POST", "/api/auth/login", *headers, body=framed, length=said, token="")
            assert answer.status == status
        assert answer.reason == "REQUEST_TOO_LARGE"

    def test_a_body_that_does_not_come_is_not_waited_for(
        self, tmp_path_factory: pytest.TempPathFactory
    ) -> None:
        with running_edge(tmp_path_factory.mktemp("slow"), request_timeout_s=1) as edge:
            headers = [JSON, "content-length: 500"]
            answer = call(edge, "POST", "/api/orders", *headers, body=b"{", length=False)
            assert (answer.status, answer.reason) == (408, "DEADLINE_EXPIRED")


@pytest.fixture
def careless(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Iterator[Edge]:
    """An edge whose routes ask for no token."""
    monkeypatch.setattr(routes, "required", lambda method: {})
    with running_edge(tmp_path_factory.mktemp("careless"), down=("auth",)) as edge:
        yield edge


def test_without_a_token_no_service_is_reached_even_if_a_route_forgot_to_ask(careless: Edge) -> None:
    for verb, path in (("GET", "/api/cart"), ("POST", "/api/orders")):
        answer = call(careless, verb, path, JSON, body=ORDER if verb == "POST" else b"", token="")
        assert (answer.status, answer.reason) == (401, "TOKEN_MISSING")
    path = f"/api/menu-items/{ID}"
    assert call(careless, "GET", path, token="").status == 200
    assert reached(careless, 0) == ["GetMenuItem"]


class TestGrpc:
    """What says that it is gRPC."""

    PATH = "/greenledger.orders.v1.OrderService/GetOrder"

    def status(self, answer: Answer) -> str:
        assert "x-greenledger-grpc-status" not in answer.headers
        return answer.headers["grpc-status"]

    def test_over_http_1_it_is_refused_as_grpc_refuses(self, edge: Edge) -> None:
        for path in (self.PATH, "/api/orders", "/nonsense"):
            answer = call(edge, "POST", path, "content-type: application/grpc", body=b"\0\0\0\0\0")
            assert (answer.status, self.status(answer)) == (200, "3")

    @pytest.mark.parametrize(
        "kind", ["application/grpcfoo", "application/grpc-web+json", "application/grpc;x"]
    )
    def test_another_content_type_is_not_grpc(self, edge: Edge, kind: str) -> None:
        answer = call(edge, "POST", self.PATH, f"content-type: {kind}", body=b"\0\0\0\0\0")
        assert (answer.status, answer.reason) == (404, "METHOD_UNKNOWN")

    def test_what_is_no_base64_is_an_invalid_argument(self, edge: Edge) -> None:
        kind = "content-type: application/grpc-web-text"
        answer = call(edge, "POST", self.PATH, kind, "x-grpc-web: 1", body=b"\0\0\0\0\0")
        assert (answer.status, self.status(answer)) == (400, "3")

    def test_a_path_of_json_does_not_take_it(self, edge: Edge) -> None:
        headers = {**edge.bearer(), "content-type": "application/grpc-web+proto", "x-grpc-web": "1"}
        reply = edge.http.post("/api/orders", headers=headers, content=web_frame(b""))
        assert (reply.status_code, reply.headers["grpc-status"]) == (404, "12")


def test_a_parameter_that_is_a_list_may_be_given_several_times(edge: Edge) -> None:
    reply = edge.http.get(
        f"/api/menu-items:batchGet?menuItemIds={ID}&menu_item_ids=b%C3%A9+c", headers=edge.bearer()
    )
    assert reply.status_code == 200, reply.text
    assert list(edge.services.last("BatchGetMenuItems").request.menu_item_ids) == [ID, "bé c"]


printable = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=60)


@given(
    verb=st.sampled_from(["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]),
    start=st.sampled_from(["/", "/api/orders", "/api/orders/", "/api/users/", "/api/menu-items", "/docs"]),
    rest=printable | st.binary(max_size=40).map(lambda raw: "".join(f"%{byte:02x}" for byte in raw)),
    query=st.none() | printable,
    body=st.binary(max_size=60),
)
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_asked_the_answer_has_the_one_shape(
    edge: Edge, verb: str, start: str, rest: str, query: str | None, body: bytes
) -> None:
    target = start + rest + ("" if query is None else f"?{query}")
    answer = call(edge, verb, target, JSON, body=body if verb in {"POST", "PUT", "PATCH"} else b"")
    # Most methods have no implementation here: 501.
    assert answer.status < 500 or answer.status in (501, 503), answer
    if answer.status >= 400:
        assert answer.reason
