"""Who calls, as routes and services are told: from the verified token and from nothing else."""

import json
from collections.abc import Iterator
from typing import Any

import grpc
import pytest

from greenledger.catalog.v1 import catalog_pb2, catalog_pb2_grpc
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from tests.integration.edge.harness import Edge, running_edge

ID = "6f0e1f5e-8a52-4d5b-9f55-3d3c2b1a0f9e"
SPOOFED = {"x-user-id": "root", "x-user-role": "operator"}
GET_CART = "/greenledger.orders.v1.OrderService/GetCart"


def token(edge: Edge, **claims: Any) -> dict[str, str]:
    return edge.bearer(edge.services.keys[0].token(**claims))


def cart_over_grpc(edge: Edge, headers: dict[str, str]) -> None:
    with grpc.insecure_channel(edge.target) as channel:
        stub = orders_pb2_grpc.OrderServiceStub(channel)
        stub.GetCart(orders_pb2.GetCartRequest(), metadata=list(headers.items()), timeout=10)


@pytest.mark.parametrize("over_grpc", [False, True])
def test_the_token_says_who_calls_and_in_which_roles(edge: Edge, over_grpc: bool) -> None:
    headers = {**token(edge, sub=ID, roles=["guest", "venue"]), **SPOOFED}
    if over_grpc:
        cart_over_grpc(edge, headers)
    else:
        assert edge.http.get("/api/cart", headers=headers).status_code == 200
    seen = edge.services.last("GetCart").metadata
    assert (seen["x-user-id"], seen["x-user-role"]) == (ID, "guest,venue")


@pytest.mark.parametrize("over_grpc", [False, True])
def test_without_a_token_nothing_is_said_of_who_calls(edge: Edge, over_grpc: bool) -> None:
    if over_grpc:
        with grpc.insecure_channel(edge.target) as channel:
            catalog_pb2_grpc.CatalogServiceStub(channel).GetMenuItem(
                catalog_pb2.GetMenuItemRequest(menu_item_id=ID), metadata=list(SPOOFED.items()), timeout=10
            )
    else:
        assert edge.http.get(f"/api/menu-items/{ID}", headers=SPOOFED).status_code == 200
    assert not edge.services.last("GetMenuItem").metadata.keys() & SPOOFED.keys()


@pytest.mark.parametrize(
    ("roles", "told"),
    [
        ([], ""),
        (None, ""),
        ("operator", ""),
        (["guest,operator", "venue"], "venue"),
        ([7, "guest", {"operator": True}], "guest"),
    ],
)
def test_roles_of_another_form_are_left_out(edge: Edge, roles: Any, told: str) -> None:
    edge.http.get("/api/cart", headers={**token(edge, roles=roles), **SPOOFED})
    assert edge.services.last("GetCart").metadata["x-user-role"] == told


def test_a_caller_may_ask_for_a_version(edge: Edge) -> None:
    edge.http.get("/api/cart", headers={**edge.bearer(), "x-version": "v2"})
    assert edge.services.last("GetCart").metadata["x-version"] == "v2"


def canary_of_growers(configuration: str) -> str:
    """A route for growers before the one for all, as control makes it."""
    route = {
        "name": "canary",
        "match": {
            "path": GET_CART,
            "headers": [
                {"name": "x-user-role", "string_match": {"safe_regex": {"regex": "(^|.*,)grower(,.*|$)"}}}
            ],
        },
        "direct_response": {"status": 418},
    }
    before = f'{{"name": "{GET_CART}"'
    assert configuration.count(before) == 1
    return configuration.replace(before, f"{json.dumps(route)}, {before}")


class TestRoutes:
    """An edge with a route that depends on a role."""

    @pytest.fixture(scope="class")
    @classmethod
    def canary(cls, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Edge]:
        with running_edge(tmp_path_factory.mktemp("canary"), rewrite=canary_of_growers) as edge:
            yield edge

    @pytest.mark.parametrize(
        ("roles", "elsewhere"),
        [(["grower"], True), (["guest", "grower"], True), (["guest"], False), (["big-grower"], False)],
    )
    def test_json_and_grpc_calls_follow_the_role_of_the_token(
        self, canary: Edge, roles: list[str], elsewhere: bool
    ) -> None:
        headers = token(canary, roles=roles)
        status = canary.http.get("/api/cart", headers=headers).status_code
        assert (status != 200) is elsewhere
        if elsewhere:
            with pytest.raises(grpc.RpcError):
                cart_over_grpc(canary, headers)
        else:
            cart_over_grpc(canary, headers)

    def test_a_role_that_the_caller_claims_leads_nowhere(self, canary: Edge) -> None:
        headers = {**token(canary, roles=["guest"]), "x-user-role": "grower"}
        assert canary.http.get("/api/cart", headers=headers).status_code == 200
        cart_over_grpc(canary, headers)
