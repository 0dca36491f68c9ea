"""Where the objects of payments meet."""

from datetime import timedelta

from chassis.background import Every
from chassis.runtime import Runtime
from chassis.service import Service, Servicer
from greenledger.payments.v1 import payments_pb2_grpc
from services.payments.adapters.db import PostgresPayments
from services.payments.adapters.grpc import PaymentServicer
from services.payments.adapters.kafka import PaymentEvents
from services.payments.adapters.simulator import SimulatedProvider
from services.payments.application.authorize import AuthorizePayment
from services.payments.application.capture import CapturePayment
from services.payments.application.queries import PaymentQueries
from services.payments.application.refund import RefundPayment
from services.payments.application.void import VoidPayment


def wire(runtime: Runtime) -> Service:
    """The service on a runtime."""
    database, clock, ids = runtime.database, runtime.clock, runtime.ids
    payments = PostgresPayments(database)
    provider = SimulatedProvider(database)
    events = PaymentEvents(database, runtime.outbox)
    refund = RefundPayment(database, payments, provider, events, clock)
    servicer = PaymentServicer(
        provider,
        AuthorizePayment(database, payments, provider, events, clock, ids),
        CapturePayment(database, payments, provider, events, clock),
        VoidPayment(database, payments, provider, events, clock, ids),
        refund,
        PaymentQueries(payments),
        runtime.page_tokens,
    )
    return Service(
        servicers=[
            Servicer(
                "greenledger.payments.v1.PaymentService",
                payments_pb2_grpc.add_PaymentServiceServicer_to_server,
                servicer,
            )
        ],
        background=[Every("payments.refunds", refund.keep_promises, timedelta(seconds=15))],
    )
