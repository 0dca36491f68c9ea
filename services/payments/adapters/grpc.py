"""PaymentService: decode, call the use case, encode."""

from typing import Any

import grpc.aio

from chassis.context import caller
from chassis.money import Money
from chassis.paging import PageTokens, page_size
from chassis.protobuf import id_from_proto, money_from_proto
from greenledger.payments.v1 import payments_pb2 as pb
from greenledger.payments.v1 import payments_pb2_grpc
from services.payments.adapters.codec import payment_to_proto, status_filter
from services.payments.application.authorize import AuthorizePayment
from services.payments.application.capture import CapturePayment
from services.payments.application.ports import Provider
from services.payments.application.queries import PaymentQueries
from services.payments.application.refund import RefundPayment
from services.payments.application.void import VoidPayment

Context = grpc.aio.ServicerContext[Any, Any]


class PaymentServicer(payments_pb2_grpc.PaymentServiceServicer):
    """The RPCs of payments."""

    def __init__(
        self,
        provider: Provider,
        authorize: AuthorizePayment,
        capture: CapturePayment,
        void: VoidPayment,
        refund: RefundPayment,
        queries: PaymentQueries,
        page_tokens: PageTokens,
    ) -> None:
        self._provider = provider
        self._authorize = authorize
        self._capture = capture
        self._void = void
        self._refund = refund
        self._queries = queries
        self._page_tokens = page_tokens

    async def ValidatePayment(
        self, request: pb.ValidatePaymentRequest, context: Context
    ) -> pb.ValidatePaymentResponse:
        acceptable = self._provider.accepts(request.payment_method)
        money_from_proto(request.amount)
        reason = "" if acceptable else "PAYMENT_METHOD_INVALID"
        return pb.ValidatePaymentResponse(acceptable=acceptable, reason=reason)

    async def AuthorizePayment(self, request: pb.AuthorizePaymentRequest, context: Context) -> pb.Payment:
        amount = money_from_proto(request.amount)
        order_id = id_from_proto(request.order_id, "order_id")
        payer_id = id_from_proto(request.payer_id, "payer_id")
        return payment_to_proto(await self._authorize(order_id, payer_id, amount, request.payment_method))

    async def CapturePayment(self, request: pb.CapturePaymentRequest, context: Context) -> pb.Payment:
        return payment_to_proto(await self._capture(request.order_id))

    async def RefundPayment(self, request: pb.RefundPaymentRequest, context: Context) -> pb.Payment:
        amount: Money | None = money_from_proto(request.amount) if request.HasField("amount") else None
        request_id = id_from_proto(request.request_id, "request_id")
        order_id = id_from_proto(request.order_id, "order_id")
        return payment_to_proto(await self._refund(request_id, order_id, amount, request.reason))

    async def VoidPayment(self, request: pb.VoidPaymentRequest, context: Context) -> pb.Payment:
        return payment_to_proto(await self._void(id_from_proto(request.order_id, "order_id")))

    async def GetPayment(self, request: pb.GetPaymentRequest, context: Context) -> pb.Payment:
        return payment_to_proto(await self._queries.of_order(request.order_id, caller()))

    async def ListPayments(
        self, request: pb.ListPaymentsRequest, context: Context
    ) -> pb.ListPaymentsResponse:
        actor, size = caller(), page_size(request.page_size)
        query = {"method": "ListPayments", "actor": actor.subject, "state": request.state}
        cursor = self._page_tokens.decode(request.page_token, query)
        status = status_filter(request.state)
        found = await self._queries.page(actor, status, cursor["before"] if cursor else None, size + 1)
        page, token = self._page_tokens.cut(found, size, lambda last: {"before": last.payment_id}, query)
        return pb.ListPaymentsResponse(payments=map(payment_to_proto, page), next_page_token=token)
