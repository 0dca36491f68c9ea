"""The limit of a person's calls in a service as it runs: from the setting to the refusal."""

import uuid
from typing import Any

import grpc
import pytest

from chassis.settings import Rate
from chassis.testing import PostgresServer
from chassis.testing.service import TokenSigner, serve
from greenledger.payments.v1 import payments_pb2, payments_pb2_grpc
from interceptors.process import CHAIN
from interceptors.status import details_of
from interceptors.testing import reason
from services.payments.wiring import wire

pytestmark = pytest.mark.slow


async def test_a_person_over_the_limit_is_told_when_to_come_back(postgres_server: PostgresServer) -> None:
    signer = TokenSigner()
    limit = Rate(per_s=0.01, burst=3)
    async with (
        postgres_server.database("payments") as dsn,
        serve("payments", wire, CHAIN, dsn, signer, principal_limit=limit) as payments,
    ):
        stub: Any = payments_pb2_grpc.PaymentServiceStub(payments.channel)

        async def ask(metadata: Any) -> grpc.aio.AioRpcError:
            request = payments_pb2.GetPaymentRequest(order_id=str(uuid.uuid4()))
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                await stub.GetPayment(request, metadata=metadata)
            return refused.value

        ann, bob = signer.user("ann", "payments.read"), signer.user("bob", "payments.read")
        found = [reason(await ask(ann)) for _ in range(4)]
        error = await ask(ann)
        assert reason(await ask(bob)) == found[0]
        service = signer.service("orders", "payments.process")
        for _ in range(5):
            request = payments_pb2.VoidPaymentRequest(
                request_id=str(uuid.uuid4()), order_id=str(uuid.uuid4())
            )
            await stub.VoidPayment(request, metadata=service)
    assert found[0] != "RATE_LIMITED"
    assert found == [found[0]] * 3 + ["RATE_LIMITED"]
    assert error.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
    retry: Any = details_of(error.trailing_metadata())["RetryInfo"]
    assert 50 < retry.retry_delay.ToTimedelta().total_seconds() <= 100
