"""What the edge does when services fail."""

from collections.abc import Iterator

import pytest

from greenledger.orders.v1 import orders_pb2
from interceptors.status import NOT_BEGUN_KEY
from tests.integration.edge.harness import Edge, running_edge, wait_until
from tests.integration.edge.shape import grpc_error, reason_of

ID = "6f0e1f5e-8a52-4d5b-9f55-3d3c2b1a0f9e"


@pytest.fixture
def failing(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
    with running_edge(tmp_path_factory.mktemp("failing"), jwks_fresh_s=1) as edge:
        yield edge


def test_calls_that_a_request_id_marks_are_tried_again(edge: Edge) -> None:
    edge.services.unavailable_left = 1
    body = {"requestId": ID, "paymentMethod": "card"}
    assert edge.http.post("/api/orders", headers=edge.bearer(), json=body).status_code == 200
    assert edge.services.unavailable_left == 0


def test_calls_that_could_count_twice_are_not(edge: Edge) -> None:
    edge.services.unavailable_left = 1
    reply = edge.http.put(f"/api/cart/items/{ID}", headers=edge.bearer(), json={"quantity": 1})
    assert (reply.status_code, reason_of(reply)) == (503, "OVERLOADED")
    assert edge.services.unavailable_left == 0


def test_calls_that_a_service_says_it_has_not_begun_are_tried_again_whatever_they_are(edge: Edge) -> None:
    edge.services.not_begun_left = 2
    reply = edge.http.put(f"/api/cart/items/{ID}", headers=edge.bearer(), json={"quantity": 1})
    assert reply.status_code == 200
    assert edge.services.not_begun_left == 0


def test_what_no_instance_begins_is_refused_without_what_the_edge_goes_by(edge: Edge) -> None:
    edge.services.not_begun_left = 6
    reply = edge.http.put(f"/api/cart/items/{ID}", headers=edge.bearer(), json={"quantity": 1})
    assert (reply.status_code, reason_of(reply)) == (503, "OVERLOADED")
    assert NOT_BEGUN_KEY not in reply.headers
    request = orders_pb2.SetCartItemRequest(menu_item_id=ID, quantity=1).SerializeToString()
    method = "/greenledger.orders.v1.OrderService/SetCartItem"
    assert grpc_error(edge.target, method, request, edge.services.token) == ("UNAVAILABLE", "OVERLOADED")
    assert edge.services.not_begun_left == 0


def test_what_a_stopping_server_has_not_begun_is_tried_again(edge: Edge) -> None:
    edge.services.cancelled_left = 1
    body = {"requestId": ID, "paymentMethod": "card"}
    assert edge.http.post("/api/orders", headers=edge.bearer(), json=body).status_code == 200
    assert edge.services.cancelled_left == 0


def test_a_client_is_never_told_that_it_cancelled_what_a_stopping_server_did_not_begin(edge: Edge) -> None:
    edge.services.cancelled_left = 2
    reply = edge.http.put(f"/api/cart/items/{ID}", headers=edge.bearer(), json={"quantity": 1})
    assert (reply.status_code, reason_of(reply)) == (503, "UNAVAILABLE")
    request = orders_pb2.SetCartItemRequest(menu_item_id=ID, quantity=1).SerializeToString()
    method = "/greenledger.orders.v1.OrderService/SetCartItem"
    assert grpc_error(edge.target, method, request, edge.services.token) == ("UNAVAILABLE", "UNAVAILABLE")
    assert edge.services.cancelled_left == 0


def test_a_service_that_comes_back_is_found_again(failing: Edge) -> None:
    port = failing.services.port
    failing.thread.run(failing.services.stop())
    reply = failing.http.get("/api/cart", headers=failing.bearer())
    assert (reply.status_code, reason_of(reply)) == (503, "UNAVAILABLE")
    failing.thread.run(failing.services.start(port))
    wait_until(lambda: failing.http.get("/api/cart", headers=failing.bearer()).status_code == 200)


def test_health_says_whether_every_service_answers(failing: Edge) -> None:
    healthy = wait_until(lambda: reply if (reply := failing.http.get("/healthz")).is_success else None)
    assert healthy.json() == {"status": "SERVING"}
    failing.thread.run(failing.services.stop())
    down = wait_until(lambda: reply if not (reply := failing.http.get("/healthz")).is_success else None, 40)
    assert (down.status_code, reason_of(down)) == (503, "UNAVAILABLE")


def test_tokens_are_verified_while_the_auth_service_is_away(failing: Edge) -> None:
    assert failing.http.get("/api/cart", headers=failing.bearer()).status_code == 200
    failing.thread.run(failing.auth.stop())
    # The keys that are fetched every second are gone by now.
    wait_until(lambda: failing.counter("http.edge.jwt_authn.jwks_fetch_failed") > 5)
    assert failing.http.get("/api/cart", headers=failing.bearer()).status_code == 200
    reply = failing.http.get(
        "/api/cart", headers=failing.bearer(failing.services.keys[0].token(lifetime_s=-99))
    )
    assert (reply.status_code, reason_of(reply)) == (401, "TOKEN_EXPIRED")


def test_without_any_keys_the_answer_is_unavailable_and_not_unauthenticated(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    with running_edge(tmp_path_factory.mktemp("keyless"), down=("auth",)) as edge:
        reply = edge.http.get("/api/cart", headers=edge.bearer())
        assert (reply.status_code, reason_of(reply)) == (503, "UNAVAILABLE")
        assert edge.http.get("/docs").status_code == 200
