"""Every reply that Envoy makes by itself has the shape of all errors, in JSON and in gRPC."""

import socket
from collections.abc import Iterator
from typing import Any

import pytest

from greenledger.orders.v1 import orders_pb2
from tests.integration.edge.harness import Edge, running_edge, wait_until
from tests.integration.edge.services import CRASHING, SLOW
from tests.integration.edge.shape import error_of, grpc_error, reason_of

ID = "6f0e1f5e-8a52-4d5b-9f55-3d3c2b1a0f9e"
ORDERS = "/greenledger.orders.v1.OrderService"


@pytest.mark.parametrize(
    ("verb", "path", "options", "status", "reason"),
    [
        ("GET", "/nonsense", {}, 404, "METHOD_UNKNOWN"),
        ("GET", "/api/orders/a/b/c", {}, 404, "METHOD_UNKNOWN"),
        ("GET", "/greenledger.orders.v1.OrderService/GetCart", {}, 404, "METHOD_UNKNOWN"),
        ("POST", "/greenledger.orders.v1.OrderService/GetCart", {"json": {}}, 404, "METHOD_UNKNOWN"),
        ("GET", "/docs/../nonsense", {}, 404, "METHOD_UNKNOWN"),
        ("POST", "/api/cart", {"json": {}}, 405, "METHOD_UNKNOWN"),
        ("GET", f"/api/crops/{ID}:transfer", {}, 405, "METHOD_UNKNOWN"),
        ("HEAD", "/api/orders", {}, 405, None),
        ("OPTIONS", "/api/orders", {}, 405, "METHOD_UNKNOWN"),
        ("GET", "/api/orders?nonsense=1", {}, 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders?pageSize=many", {}, 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders?state=NOPE", {}, 400, "MALFORMED_REQUEST"),
        ("GET", "/api/orders/a%2Fb", {}, 400, "MALFORMED_REQUEST"),
        ("DELETE", "/api/cart", {"content": b"{}"}, 400, "MALFORMED_REQUEST"),
        ("POST", "/api/orders", {"content": b""}, 400, "MALFORMED_REQUEST"),
        ("POST", "/api/orders", {"data": {"a": "b"}}, 415, "MALFORMED_REQUEST"),
        (
            "POST",
            "/api/orders",
            {"json": {}, "headers": {"content-encoding": "gzip"}},
            415,
            "MALFORMED_REQUEST",
        ),
        ("POST", "/api/crops", {"json": {"harvestTime": "today"}}, 400, "MALFORMED_REQUEST"),
        ("POST", "/api/orders", {"json": {"items": [{"quantity": 2**40}]}}, 400, "MALFORMED_REQUEST"),
        ("GET", f"/api/trace/orders/{ID}", {}, 503, "UNAVAILABLE"),
        ("GET", f"/api/orders/{CRASHING}", {}, 500, "INTERNAL"),
        ("GET", f"/api/orders/{SLOW}", {"headers": {"grpc-timeout": "200m"}}, 504, "DEADLINE_EXPIRED"),
    ],
)
def test_json_errors(
    edge: Edge, verb: str, path: str, options: dict[str, Any], status: int, reason: str | None
) -> None:
    headers = edge.bearer() | options.get("headers", {})
    reply = edge.http.request(verb, path, **(options | {"headers": headers}))
    assert reply.status_code == status
    if reason is not None:
        assert reason_of(reply) == reason
        assert reply.headers["cache-control"] == "no-store"


@pytest.mark.parametrize(
    ("method", "code", "reason"),
    [
        (f"{ORDERS}/Nonsense", "UNIMPLEMENTED", "METHOD_UNKNOWN"),
        ("/greenledger.nonsense.v1.Service/Call", "UNIMPLEMENTED", "METHOD_UNKNOWN"),
        ("/greenledger.operations.v1.OperationsService/GetStatus", "UNIMPLEMENTED", "METHOD_UNKNOWN"),
        ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "UNIMPLEMENTED", "METHOD_UNKNOWN"),
        ("/greenledger.trace.v1.TraceService/TraceOrder", "UNAVAILABLE", "UNAVAILABLE"),
        ("/greenledger.auth.v1.AuthService/PrepareCredentials", "PERMISSION_DENIED", "PERMISSION_DENIED"),
    ],
)
def test_grpc_errors(edge: Edge, method: str, code: str, reason: str) -> None:
    assert grpc_error(edge.target, method, token=edge.services.token) == (code, reason)


def test_a_405_lists_the_methods_that_the_path_takes(edge: Edge) -> None:
    assert edge.http.put("/api/orders", headers=edge.bearer()).headers["allow"] == "GET, POST"


def test_an_error_says_when_to_try_again(edge: Edge) -> None:
    reply = edge.http.get(f"/api/trace/orders/{ID}", headers=edge.bearer())
    assert reply.headers["retry-after"] == "1"
    assert {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "1s"} in error_of(reply)[
        "details"
    ]


def test_what_is_not_http_gets_the_shape_too(edge: Edge) -> None:
    address = (edge.settings.listen.host, edge.settings.listen.port)
    with socket.create_connection(address, timeout=5) as connection:
        connection.sendall(b"GET /api/cart HTTP/1.1\r\n\r\n")
        answer = connection.makefile("rb").read().decode()
    assert answer.startswith("HTTP/1.1 400 ")
    assert '"reason":"MALFORMED_REQUEST"' in answer


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    """An edge with small limits."""
    folder = tmp_path_factory.mktemp("small")
    with running_edge(folder, deadline_s=1, deadline_max_s=1, requests_per_second=2) as edge:
        yield edge


def test_too_many_requests_are_answered_429_with_a_time_to_come_back(small: Edge) -> None:
    reply = wait_until(
        lambda: next((r for _ in range(20) if (r := small.http.get("/nonsense")).status_code == 429), None)
    )
    assert reason_of(reply) == "RATE_LIMITED"
    assert reply.headers["retry-after"] == "1"


def test_too_many_grpc_calls_are_resource_exhausted(small: Edge) -> None:
    def limited() -> bool:
        found = grpc_error(small.target, f"{ORDERS}/Nonsense", token=small.services.token)
        return found == ("RESOURCE_EXHAUSTED", "RATE_LIMITED")

    wait_until(limited)


def test_a_slow_service_is_given_up_at_the_edges_deadline(small: Edge) -> None:
    def timed_out() -> Any:
        reply = small.http.get(f"/api/orders/{SLOW}", headers=small.bearer())
        return reply if reply.status_code != 429 else None

    reply = wait_until(timed_out)
    assert (reply.status_code, reason_of(reply)) == (504, "DEADLINE_EXPIRED")


def test_a_grpc_caller_may_wait_longer_but_not_for_ever(small: Edge) -> None:
    request = orders_pb2.GetOrderRequest(order_id=SLOW).SerializeToString()

    def timed_out() -> bool:
        try:
            found = grpc_error(small.target, f"{ORDERS}/GetOrder", request, small.services.token)
        except AssertionError:
            return False  # the service's gRPC runtime was quicker than the edge; its status has no details
        return found == ("DEADLINE_EXCEEDED", "DEADLINE_EXPIRED")

    wait_until(timed_out)
