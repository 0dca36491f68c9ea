"""Protobuf to domain and back."""

from chassis.money import Money
from chassis.protobuf import money_to_proto, timestamp_to_proto
from greenledger.payments.v1 import payments_pb2 as pb
from services.payments.domain.payment import Payment, State

_STATES = {
    State.PENDING: pb.PAYMENT_STATE_PENDING,
    State.AUTHORIZED: pb.PAYMENT_STATE_AUTHORIZED,
    State.DECLINED: pb.PAYMENT_STATE_DECLINED,
    # Decided but not confirmed by the provider: callers see the state that is certain.
    State.CAPTURING: pb.PAYMENT_STATE_AUTHORIZED,
    State.CAPTURED: pb.PAYMENT_STATE_CAPTURED,
    State.VOIDING: pb.PAYMENT_STATE_AUTHORIZED,
    State.VOIDED: pb.PAYMENT_STATE_VOIDED,
}
_FILTERS = {
    pb.PAYMENT_STATE_PENDING: State.PENDING,
    pb.PAYMENT_STATE_AUTHORIZED: State.AUTHORIZED,
    pb.PAYMENT_STATE_DECLINED: State.DECLINED,
    pb.PAYMENT_STATE_CAPTURED: State.CAPTURED,
    pb.PAYMENT_STATE_VOIDED: State.VOIDED,
    pb.PAYMENT_STATE_PARTIALLY_REFUNDED: State.CAPTURED,
    pb.PAYMENT_STATE_REFUNDED: State.CAPTURED,
}


def state_filter(state: "pb.PaymentState.ValueType") -> State | None:
    """The stored state that a filter asks for; None for no filter."""
    return _FILTERS.get(state)


def state_to_proto(payment: Payment) -> "pb.PaymentState.ValueType":
    """The state that callers see, with refunds taken into account."""
    if payment.captured is not None and payment.refunded_minor:
        whole = payment.refunded_minor == payment.captured.minor
        return pb.PAYMENT_STATE_REFUNDED if whole else pb.PAYMENT_STATE_PARTIALLY_REFUNDED
    return _STATES[payment.state]


def payment_to_proto(payment: Payment) -> pb.Payment:
    """A payment as the contract shows it."""
    proto = pb.Payment(
        payment_id=payment.payment_id,
        order_id=payment.order_id,
        payer_id=payment.payer_id,
        state=state_to_proto(payment),
        decline_code=payment.decline_code,
        create_time=timestamp_to_proto(payment.created_at),
        update_time=timestamp_to_proto(payment.updated_at),
    )
    if payment.amount is not None:
        proto.amount.CopyFrom(money_to_proto(payment.amount))
    if payment.captured is not None:
        proto.captured_amount.CopyFrom(money_to_proto(payment.captured))
        refunded = Money(payment.refunded_minor, payment.captured.currency)
        proto.refunded_amount.CopyFrom(money_to_proto(refunded))
    return proto
