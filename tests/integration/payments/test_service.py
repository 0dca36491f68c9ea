"""The service behind its real server and interceptors."""

import uuid
from collections.abc import AsyncIterator

import grpc
import pytest
import pytest_asyncio
from google.type.money_pb2 import Money

from chassis.testing import PostgresServer
from chassis.testing.service import ServiceUnderTest, TokenSigner, serve
from greenledger.payments.v1 import payments_pb2 as pb
from greenledger.payments.v1.payments_pb2_grpc import PaymentServiceStub
from interceptors.testing import SignedChain, reason
from services.payments.wiring import wire

ANN, BOB = "aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa", "bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb"


@pytest_asyncio.fixture
async def service(postgres_server: PostgresServer) -> AsyncIterator[ServiceUnderTest]:
    signer = TokenSigner()
    async with (
        postgres_server.database("payments") as dsn,
        serve("payments", wire, SignedChain(signer), dsn, signer) as running,
    ):
        yield running


@pytest.fixture
def stub(service: ServiceUnderTest) -> PaymentServiceStub:
    return PaymentServiceStub(service.channel)


def authorization(order_id: str, /, **changes: object) -> pb.AuthorizePaymentRequest:
    facts = {"amount": Money(currency_code="USD", units=12, nanos=500_000_000), "payment_method": "pm_card"}
    ids = {"request_id": str(uuid.uuid4()), "order_id": order_id, "payer_id": ANN}
    return pb.AuthorizePaymentRequest(**(ids | facts | changes))


async def test_a_payment_goes_from_authorization_to_refund(service, stub):
    orders, order_id = (
        service.signer.service("orders", "payments.process", "payments.refund"),
        str(uuid.uuid4()),
    )
    payment = await stub.AuthorizePayment(authorization(order_id), metadata=orders)
    assert payment.state == pb.PAYMENT_STATE_AUTHORIZED
    again = {"request_id": str(uuid.uuid4()), "order_id": order_id.upper()}
    captured = await stub.CapturePayment(pb.CapturePaymentRequest(**again), metadata=orders)
    assert (captured.order_id, captured.captured_amount) == (order_id, payment.amount)
    refund = pb.RefundPaymentRequest(**again, reason="spilt")
    for _ in range(2):  # also under the other spelling of the same order
        refunded = await stub.RefundPayment(refund, metadata=orders)
        refund.order_id = order_id
    assert (refunded.state, refunded.refunded_amount) == (pb.PAYMENT_STATE_REFUNDED, payment.amount)
    mine = await stub.GetPayment(pb.GetPaymentRequest(order_id=order_id), metadata=service.signer.user(ANN))
    assert mine == refunded


async def test_someone_elses_payment_does_not_exist_but_an_auditor_sees_it(service, stub):
    orders, order_id = service.signer.service("orders", "payments.process"), str(uuid.uuid4())
    await stub.AuthorizePayment(authorization(order_id), metadata=orders)
    request = pb.GetPaymentRequest(order_id=order_id)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.GetPayment(request, metadata=service.signer.user(BOB))
    assert (caught.value.code(), reason(caught.value)) == (grpc.StatusCode.NOT_FOUND, "PAYMENT_NOT_FOUND")
    await stub.GetPayment(request, metadata=service.signer.user(BOB, "payments.read"))
    assert not (await stub.ListPayments(pb.ListPaymentsRequest(), metadata=service.signer.user(BOB))).payments


async def test_pages_follow_their_tokens_and_a_token_of_another_filter_is_refused(service, stub):
    orders, ann = service.signer.service("orders", "payments.process"), service.signer.user(ANN)
    made = [str(uuid.uuid4()) for _ in range(3)]
    for order_id in made:
        await stub.AuthorizePayment(authorization(order_id), metadata=orders)
    first = await stub.ListPayments(pb.ListPaymentsRequest(page_size=2), metadata=ann)
    token = first.next_page_token
    second = await stub.ListPayments(pb.ListPaymentsRequest(page_size=2, page_token=token), metadata=ann)
    assert [each.order_id for each in [*first.payments, *second.payments]] == made[::-1]
    assert second.next_page_token == ""
    other = pb.ListPaymentsRequest(page_token=token, state=pb.PAYMENT_STATE_VOIDED)
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.ListPayments(other, metadata=ann)
    assert reason(caught.value) == "PAGE_TOKEN_INVALID"


@pytest.mark.parametrize(
    ("changes", "code", "expected"),
    [
        ({"payment_method": "cash"}, grpc.StatusCode.INVALID_ARGUMENT, "PAYMENT_METHOD_INVALID"),
        ({"payment_method": "pm_declined"}, grpc.StatusCode.FAILED_PRECONDITION, "PAYMENT_DECLINED"),
        ({"amount": Money(currency_code="USD", nanos=1)}, grpc.StatusCode.INVALID_ARGUMENT, "AMOUNT_INVALID"),
        ({"amount": Money(currency_code="USD")}, grpc.StatusCode.INVALID_ARGUMENT, "VALIDATION_FAILED"),
        ({"order_id": "17"}, grpc.StatusCode.INVALID_ARGUMENT, "VALIDATION_FAILED"),
    ],
)
async def test_a_bad_authorization_is_refused_with_its_reason(service, stub, changes, code, expected):
    orders = service.signer.service("orders", "payments.process")
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.AuthorizePayment(authorization(str(uuid.uuid4()), **changes), metadata=orders)
    assert (caught.value.code(), reason(caught.value)) == (code, expected)


async def test_a_guest_may_not_move_money(service, stub):
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await stub.AuthorizePayment(authorization(str(uuid.uuid4())), metadata=service.signer.user(ANN))
    assert caught.value.code() is grpc.StatusCode.PERMISSION_DENIED


async def test_validation_moves_nothing(service, stub):
    orders = service.signer.service("orders", "payments.process")
    for method, acceptable in (("pm_card", True), ("cash", False)):
        request = pb.ValidatePaymentRequest(amount=Money(currency_code="USD", units=1), payment_method=method)
        assert (await stub.ValidatePayment(request, metadata=orders)).acceptable is acceptable
    assert await service.runtime.database.fetchval("SELECT count(*) FROM payment") == 0
