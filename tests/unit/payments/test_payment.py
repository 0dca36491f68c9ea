"""Rules of a payment's life."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from chassis.errors import AlreadyExists, DomainError, FailedPrecondition, InvalidArgument
from chassis.money import Money
from services.payments.domain.payment import Payment, State, Status

NOW = datetime(2026, 6, 1, tzinfo=UTC)
LATER = NOW + timedelta(minutes=1)


def payment(state: State, *, promised_minor: int = 0, refunded_minor: int = 0) -> Payment:
    intended = Payment.intended("p1", "o1", "ann", Money(1000, "USD"), "pm_card", NOW)
    return replace(intended, state=state, promised_minor=promised_minor, refunded_minor=refunded_minor)


def refusal(call, *arguments: object) -> tuple[type[DomainError], str]:
    with pytest.raises(DomainError) as caught:
        call(*arguments)
    return type(caught.value), caught.value.reason


@pytest.mark.parametrize("state", [State.CAPTURING, State.CAPTURED])
def test_deciding_to_capture_again_changes_nothing(state):
    taken = payment(state)
    assert taken.capturing(LATER) is taken


def test_an_authorized_payment_may_be_captured():
    assert payment(State.AUTHORIZED).capturing(LATER).state is State.CAPTURING


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (State.PENDING, "PAYMENT_NOT_AUTHORIZED"),
        (State.DECLINED, "PAYMENT_NOT_AUTHORIZED"),
        (State.VOIDING, "PAYMENT_VOIDED"),
        (State.VOIDED, "PAYMENT_VOIDED"),
    ],
)
def test_what_was_not_authorized_or_is_given_up_cannot_be_captured(state, reason):
    assert refusal(payment(state).capturing, LATER) == (FailedPrecondition, reason)


@pytest.mark.parametrize("state", [State.PENDING, State.AUTHORIZED])
def test_what_may_hold_money_can_be_voided(state):
    assert payment(state).voiding(LATER).state is State.VOIDING


@pytest.mark.parametrize("state", [State.VOIDING, State.VOIDED, State.DECLINED])
def test_a_void_of_what_holds_no_money_changes_nothing(state):
    idle = payment(state)
    assert idle.voiding(LATER) is idle


@pytest.mark.parametrize("state", [State.CAPTURING, State.CAPTURED])
def test_taken_money_cannot_be_voided(state):
    assert refusal(payment(state).voiding, LATER) == (FailedPrecondition, "PAYMENT_CAPTURED")


def test_a_refund_without_amount_promises_all_that_is_left():
    promised, amount = payment(State.CAPTURED, promised_minor=400).refunding(None, LATER)
    assert (amount, promised.promised_minor) == (Money(600, "USD"), 1000)


@pytest.mark.parametrize(
    ("state", "promised", "amount", "expected"),
    [
        (State.CAPTURED, 400, Money(601, "USD"), (FailedPrecondition, "REFUND_EXCEEDS_CAPTURE")),
        (State.CAPTURED, 1000, None, (FailedPrecondition, "REFUND_EXCEEDS_CAPTURE")),
        (State.CAPTURED, 0, Money(1, "EUR"), (InvalidArgument, "CURRENCY_MISMATCH")),
        (State.CAPTURING, 0, None, (FailedPrecondition, "PAYMENT_NOT_CAPTURED")),
        (State.VOIDED, 0, None, (FailedPrecondition, "PAYMENT_NOT_CAPTURED")),
    ],
)
def test_a_refund_never_exceeds_what_was_captured(state, promised, amount, expected):
    assert refusal(payment(state, promised_minor=promised).refunding, amount, LATER) == expected


def test_a_refund_counts_for_others_when_it_was_made_and_not_when_it_is_promised():
    promised, amount = payment(State.CAPTURED).refunding(None, LATER)
    assert promised.status is Status.CAPTURED
    assert promised.refunded(amount, LATER).status is Status.REFUNDED


@pytest.mark.parametrize(
    "answered",
    [
        payment(State.PENDING).authorized(LATER),
        payment(State.PENDING).declined("card_declined", LATER),
        payment(State.PENDING).voiding(LATER),
    ],
    ids=["authorized", "declined", "voiding"],
)
def test_the_method_is_kept_no_longer_than_until_the_provider_has_answered(answered):
    assert payment(State.PENDING).method == "pm_card"
    assert answered.method == ""
    assert "pm_card" not in repr(answered)


@pytest.mark.parametrize(
    ("payer", "amount", "method"),
    [
        ("bob", Money(1000, "USD"), "pm_card"),
        ("ann", Money(1001, "USD"), "pm_card"),
        ("ann", Money(1000, "USD"), "pm_other"),
    ],
)
def test_another_authorization_of_the_same_order_is_refused(payer, amount, method):
    recorded = payment(State.AUTHORIZED)
    assert refusal(recorded.ensure_repeats, payer, amount, method) == (AlreadyExists, "REQUEST_ID_REUSED")


def test_the_same_authorization_again_is_accepted_although_the_method_is_forgotten():
    recorded = payment(State.PENDING).authorized(LATER)
    recorded.ensure_repeats("ann", Money(1000, "USD"), "pm_card")
    with pytest.raises(AlreadyExists):
        recorded.ensure_repeats("ann", Money(1000, "USD"), "pm_other")


def test_an_authorization_that_comes_after_the_void_is_refused():
    tombstone = Payment("p1", "o1", "", None, "", State.VOIDED, NOW, NOW)
    repeated = (tombstone.ensure_repeats, "ann", Money(1, "USD"), "pm_card")
    assert refusal(*repeated) == (FailedPrecondition, "PAYMENT_VOIDED")


@pytest.mark.parametrize(
    ("state", "refunded", "status"),
    [
        (State.PENDING, 0, Status.PENDING),
        (State.CAPTURING, 0, Status.AUTHORIZED),
        (State.VOIDING, 0, Status.AUTHORIZED),
        (State.CAPTURED, 0, Status.CAPTURED),
        (State.CAPTURED, 1, Status.PARTIALLY_REFUNDED),
        (State.CAPTURED, 1000, Status.REFUNDED),
        (State.VOIDED, 0, Status.VOIDED),
        (State.DECLINED, 0, Status.DECLINED),
    ],
)
def test_others_are_told_only_what_is_certain(state, refunded, status):
    assert payment(state, promised_minor=refunded, refunded_minor=refunded).status is status
