"""Protobuf to domain and back."""

from chassis.money import Money
from chassis.protobuf import money_to_proto, timestamp_to_proto
from greenledger.payments.v1 import payments_pb2 as pb
from services.payments.domain.payment import Payment, Status

_STATES = {status: pb.PaymentState.Value(f"PAYMENT_STATE_{status.value}") for status in Status}
_FROM_PROTO = {proto: status for status, proto in _STATES.items()}


def status_filter(state: "pb.PaymentState.ValueType") -> Status | None:
    """The status that a filter asks for; None for no filter."""
    return _FROM_PROTO.get(state)


def payment_to_proto(payment: Payment) -> pb.Payment:
    """A payment as the contract shows it."""
    proto = pb.Payment(
        payment_id=payment.payment_id,
        order_id=payment.order_id,
        payer_id=payment.payer_id,
        state=_STATES[payment.status],
        decline_code=payment.decline_code,
        create_time=timestamp_to_proto(payment.created_at),
        update_time=timestamp_to_proto(payment.updated_at),
    )
    if payment.amount is not None:
        proto.amount.CopyFrom(money_to_proto(payment.amount))
    if payment.captured is not None:
        proto.captured_amount.CopyFrom(money_to_proto(payment.captured))
        currency = payment.captured.currency
        proto.refunded_amount.CopyFrom(money_to_proto(Money(payment.refunded_minor, currency)))
        pending = Money(payment.promised_minor - payment.refunded_minor, currency)
        if pending.minor:
            proto.pending_refund_amount.CopyFrom(money_to_proto(pending))
    return proto
