"""Headers that decide where a call goes: keys that keep calls together, and versions through all hops."""

import uuid
from typing import Any

import grpc
import pytest

from chassis import context
from chassis.context import Principal, RequestContext
from greenledger.crops.v1 import crops_pb2, crops_pb2_grpc
from greenledger.operations.v1 import operations_pb2_grpc
from greenledger.orders.v1 import orders_pb2, orders_pb2_grpc
from interceptors.client_metadata import sticky_key
from interceptors.outgoing import target_of
from tests.integration.interceptors.harness import (
    OPERATIONS,
    Operations,
    outgoing,
    saga_request,
    serve,
)

KEY = "x-greenledger-key"
LOT = str(uuid.uuid4())


async def sent(call: Any) -> dict[str, Any]:
    """The headers of a call to a server that knows none of ours."""
    (headers,) = await attempts_sent(call, grpc.StatusCode.UNIMPLEMENTED)
    return headers


async def attempts_sent(call: Any, code: grpc.StatusCode) -> list[dict[str, Any]]:
    """The headers of each attempt of a call that a server refuses with this code."""
    seen: list[dict[str, Any]] = []

    class Note(grpc.aio.ServerInterceptor):
        async def intercept_service(self, continuation: Any, details: Any) -> Any:
            seen.append(dict(details.invocation_metadata))

            async def refuse(_request: Any, servicer_context: Any) -> None:
                await servicer_context.abort(code, "not here")

            return grpc.unary_unary_rpc_method_handler(refuse)

    server = grpc.aio.server(interceptors=[Note()])
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    try:
        async with outgoing(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError):
                await call(channel)
    finally:
        await server.stop(None)
    return seen


async def test_calls_for_one_lot_carry_its_id_as_key() -> None:
    request = crops_pb2.GetLotRequest(lot_id=LOT)
    headers = await sent(lambda channel: crops_pb2_grpc.CropQueryServiceStub(channel).GetLot(request))
    assert headers[KEY] == LOT


async def test_calls_for_a_cart_carry_whose_it_is() -> None:
    with context.use(RequestContext(principal=Principal("ann", "user"))):
        headers = await sent(
            lambda channel: orders_pb2_grpc.OrderServiceStub(channel).GetCart(orders_pb2.GetCartRequest())
        )
    assert headers[KEY] == "ann"


async def test_other_calls_carry_no_key() -> None:
    headers = await sent(
        lambda channel: operations_pb2_grpc.OperationsServiceStub(channel).GetSaga(saga_request())
    )
    assert KEY not in headers


async def test_an_attempt_after_the_first_goes_by_another_key() -> None:
    request = crops_pb2.GetLotRequest(lot_id=LOT)
    attempts = await attempts_sent(
        lambda channel: crops_pb2_grpc.CropQueryServiceStub(channel).GetLot(request),
        grpc.StatusCode.UNAVAILABLE,
    )
    keys = [headers[KEY] for headers in attempts]
    assert keys[0] == LOT
    assert len(set(keys)) == len(keys) == 3


@pytest.mark.parametrize("value", ["", "x" * 257, "grün", "two\nlines"])
def test_what_no_header_can_hold_is_no_key(value: str) -> None:
    assert sticky_key("lot_id", crops_pb2.GetLotRequest(lot_id=value)) == ""


def test_a_key_may_stand_deeper_in_the_request() -> None:
    request = crops_pb2.ListLotsResponse(lots=[crops_pb2.Lot(lot_id=LOT)])
    assert sticky_key("lot_id", request.lots[0]) == LOT
    assert sticky_key("lots.lot_id", request) == ""


def test_carts_and_lots_are_sticky_by_contract() -> None:
    assert target_of("/greenledger.orders.v1.OrderService/SetCartItem").sticky == "@caller"
    assert target_of("/greenledger.crops.v1.CropCommandService/TransferLot").sticky == "lot_id"
    assert target_of("/greenledger.orders.v1.OrderService/GetOrder").sticky == ""


async def test_version_and_roles_of_a_call_are_carried_on_by_the_calls_that_follow_from_it() -> None:
    far, near = Operations(), Operations()
    seen: list[dict[str, Any]] = []

    async def note(_request: Any, servicer_context: Any) -> None:
        seen.append(dict(servicer_context.invocation_metadata()))

    far.behaviour = note
    async with serve((OPERATIONS, far)) as last, outgoing(last.address) as channel:
        onward: Any = operations_pb2_grpc.OperationsServiceStub(channel)

        async def forward(request: Any, _context: Any) -> Any:
            return await onward.GetSaga(request, metadata=last.authorized())

        near.behaviour = forward
        async with serve((OPERATIONS, near)) as first:
            steering = (("x-version", "v2"), ("x-user-role", "grower,operator"))
            await first.operations.GetSaga(saga_request(), metadata=(*first.authorized(), *steering))
            await first.operations.GetSaga(saga_request(), metadata=first.authorized())
            odd = (*first.authorized(), ("x-version", "v" * 200))
            await first.operations.GetSaga(saga_request(), metadata=odd)
    assert [(headers.get("x-version"), headers.get("x-user-role")) for headers in seen] == [
        ("v2", "grower,operator"),
        (None, None),
        (None, None),
    ]
