"""What a client makes of a failed call."""

import grpc
import grpc.aio

from fleet.client.errors import CallFailed


def failed(code: grpc.StatusCode) -> CallFailed:
    nothing = grpc.aio.Metadata()
    return CallFailed.from_rpc(grpc.aio.AioRpcError(code, nothing, nothing, details=code.name))


def test_what_a_stopping_server_has_not_begun_may_be_asked_again() -> None:
    assert failed(grpc.StatusCode.CANCELLED).code == "UNAVAILABLE"


def test_another_status_stays_what_it_is() -> None:
    assert failed(grpc.StatusCode.INTERNAL).code == "INTERNAL"
