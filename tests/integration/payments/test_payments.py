"""Authorize, capture, void and refund, with a provider that answers late or not at all."""

import pytest

from chassis import crashpoints
from chassis.context import Principal
from chassis.errors import AlreadyExists, DeadlineExceeded, FailedPrecondition, InvalidArgument, NotFound
from chassis.ids import SystemIds
from chassis.money import Money
from chassis.testing.service import published
from greenledger.payments.v1 import events_pb2 as pb
from services.payments.domain.payment import State, Status
from tests.integration.payments.conftest import ANN, TEN, Payments

DECLINED, UNANSWERED = Money(66_66, "USD"), Money(77_77, "USD")
LATE_AUTHORIZATION, LATE_CAPTURE = Money(88_88, "EUR"), Money(99_99, "JPY")


async def refused(kind, reason, call):
    with pytest.raises(kind) as caught:
        await call
    assert caught.value.reason == reason
    return caught.value


async def facts(payments: Payments, topic: str) -> list:
    kinds = {"payment.succeeded": pb.PaymentSucceeded, "payment.refunded": pb.PaymentRefunded}
    kinds |= {"payment.declined": pb.PaymentDeclined, "payment.voided": pb.PaymentVoided}
    found = []
    for event in await published(payments.database, topic):
        found.append(kinds[topic]())
        assert event.payload.Unpack(found[-1])
        assert event.aggregate_id == found[-1].order_id
    return found


async def test_an_authorized_payment_is_captured_and_others_are_told_once(payments: Payments):
    order_id = await payments.authorized()
    assert (await payments.of_order(order_id)).state is State.AUTHORIZED
    first = await payments.capture(order_id)
    assert await payments.capture(order_id) == first
    (told,) = await facts(payments, "payment.succeeded")
    assert (told.order_id, told.payer_id, told.amount.units) == (order_id, ANN, 10)
    await payments.ensure_books_agree()


async def test_a_repeated_authorization_is_the_same_payment(payments: Payments):
    order_id = payments.new_order()
    first = await payments.authorize(order_id, ANN, TEN, "pm_card")
    assert await payments.authorize(order_id, ANN, TEN, "pm_card") == first
    other = payments.authorize(order_id, ANN, Money(1001, "USD"), "pm_card")
    await refused(AlreadyExists, "REQUEST_ID_REUSED", other)


@pytest.mark.parametrize(
    ("amount", "method", "code"),
    [(DECLINED, "pm_card", "insufficient_funds"), (TEN, "pm_declined", "card_declined")],
)
async def test_a_decline_says_why_each_time_and_is_told_once(payments: Payments, amount, method, code):
    order_id = payments.new_order()
    for _ in range(2):
        error = await refused(
            FailedPrecondition, "PAYMENT_DECLINED", payments.authorize(order_id, ANN, amount, method)
        )
        assert error.metadata == {"decline_code": code}
    assert [told.decline_code for told in await facts(payments, "payment.declined")] == [code]
    voided = await payments.void(order_id)
    assert voided.state is State.DECLINED  # there is nothing to free
    assert await facts(payments, "payment.voided") == []
    await payments.ensure_books_agree()


async def test_a_method_of_another_provider_is_refused_and_leaves_nothing(payments: Payments):
    order_id = payments.new_order()
    call = payments.authorize(order_id, ANN, TEN, "4111111111111111")
    await refused(InvalidArgument, "PAYMENT_METHOD_INVALID", call)
    assert await payments.store.of_order(order_id) is None


async def test_an_authorization_without_answer_stays_pending_and_can_be_voided(payments: Payments):
    order_id = payments.new_order()
    for _ in range(2):
        call = payments.authorize(order_id, ANN, UNANSWERED, "pm_card")
        await refused(DeadlineExceeded, "PROVIDER_TIMEOUT", call)
        assert (await payments.of_order(order_id)).state is State.PENDING
    await refused(FailedPrecondition, "PAYMENT_NOT_AUTHORIZED", payments.capture(order_id))
    assert (await payments.void(order_id)).state is State.VOIDED
    await payments.ensure_books_agree()


async def test_a_late_authorization_is_found_by_asking_again(payments: Payments):
    order_id = payments.new_order()
    call = payments.authorize(order_id, ANN, LATE_AUTHORIZATION, "pm_card")
    await refused(DeadlineExceeded, "PROVIDER_TIMEOUT", call)
    again = await payments.authorize(order_id, ANN, LATE_AUTHORIZATION, "pm_card")
    assert again.state is State.AUTHORIZED
    await payments.ensure_books_agree()


async def test_a_late_authorization_is_freed_by_a_void(payments: Payments):
    order_id = payments.new_order()
    call = payments.authorize(order_id, ANN, LATE_AUTHORIZATION, "pm_card")
    await refused(DeadlineExceeded, "PROVIDER_TIMEOUT", call)
    assert (await payments.books(order_id))["state"] == "AUTHORIZED"
    await payments.void(order_id)
    assert (await payments.books(order_id))["state"] == "VOIDED"
    await payments.ensure_books_agree()


async def test_a_late_capture_is_found_by_asking_again_and_no_void_comes_between(payments: Payments):
    order_id = await payments.authorized(LATE_CAPTURE)
    await refused(DeadlineExceeded, "PROVIDER_TIMEOUT", payments.capture(order_id))
    await refused(FailedPrecondition, "PAYMENT_CAPTURED", payments.void(order_id))
    await refused(FailedPrecondition, "PAYMENT_NOT_CAPTURED", refund(payments, order_id))
    assert (await payments.capture(order_id)).state is State.CAPTURED
    assert len(await facts(payments, "payment.succeeded")) == 1
    await payments.ensure_books_agree()


async def test_a_void_that_comes_first_refuses_the_authorization(payments: Payments):
    order_id = payments.new_order()
    assert (await payments.void(order_id)).state is State.VOIDED
    call = payments.authorize(order_id, ANN, TEN, "pm_card")
    await refused(FailedPrecondition, "PAYMENT_VOIDED", call)
    await refused(FailedPrecondition, "PAYMENT_VOIDED", payments.capture(order_id))
    assert await payments.books(order_id) is None
    assert await payments.queries.page(auditor(), None, None, 10) == []  # a tombstone is no payment


async def test_a_repeated_void_is_told_once(payments: Payments):
    order_id = await payments.authorized()
    assert await payments.void(order_id) == await payments.void(order_id)
    assert len(await facts(payments, "payment.voided")) == 1
    await payments.ensure_books_agree()


async def test_what_does_not_exist_cannot_be_captured_or_refunded(payments: Payments):
    await refused(NotFound, "PAYMENT_NOT_FOUND", payments.capture(payments.new_order()))
    await refused(NotFound, "PAYMENT_NOT_FOUND", refund(payments, payments.new_order()))


async def test_the_simulator_does_not_capture_what_its_books_do_not_have(payments: Payments):
    with pytest.raises(LookupError):
        await payments.provider.capture("unknown")
    order_id = await payments.captured()
    with pytest.raises(LookupError):
        await payments.provider.void((await payments.of_order(order_id)).payment_id)


def refund(
    payments: Payments, order_id: str, minor: int | None = None, request_id: str = "", reason: str = ""
):
    amount = None if minor is None else Money(minor, "USD")
    return payments.refund(request_id or SystemIds().uuid7(), order_id, amount, reason)


async def test_refunds_add_up_and_each_is_told_with_the_total(payments: Payments):
    order_id = await payments.captured()
    await refund(payments, order_id, 300)
    assert (await payments.of_order(order_id)).status is Status.PARTIALLY_REFUNDED
    await refund(payments, order_id, reason="lot recalled")
    assert (await payments.of_order(order_id)).status is Status.REFUNDED
    told = await facts(payments, "payment.refunded")
    assert [fact.reason for fact in told] == ["", "lot recalled"]
    assert [(fact.amount.units, fact.refunded_total.units) for fact in told] == [(3, 3), (7, 10)]
    await refused(FailedPrecondition, "REFUND_EXCEEDS_CAPTURE", refund(payments, order_id, 1))
    await payments.ensure_books_agree()


async def test_a_repeated_refund_gives_back_once(payments: Payments):
    order_id, request_id = await payments.captured(), SystemIds().uuid7()
    for _ in range(3):
        await refund(payments, order_id, 300, request_id)
    assert (await payments.of_order(order_id)).refunded_minor == 300
    assert len(await facts(payments, "payment.refunded")) == 1
    await payments.ensure_books_agree()


async def test_a_refund_of_all_that_is_left_may_be_repeated_when_nothing_is_left(payments: Payments):
    order_id, request_id = await payments.captured(), SystemIds().uuid7()
    await refund(payments, order_id, None, request_id)
    assert (await refund(payments, order_id, None, request_id)).refunded_minor == 1000


@pytest.mark.parametrize(("minor", "reason"), [(301, "spilt"), (None, "spilt"), (300, "cold")])
async def test_a_request_id_names_one_refund(payments: Payments, minor, reason):
    order_id, request_id = await payments.captured(), SystemIds().uuid7()
    await refund(payments, order_id, 300, request_id, "spilt")
    call = refund(payments, order_id, minor, request_id, reason)
    await refused(AlreadyExists, "REQUEST_ID_REUSED", call)
    elsewhere = refund(payments, await payments.captured(), 300, request_id, "spilt")
    await refused(AlreadyExists, "REQUEST_ID_REUSED", elsewhere)


async def test_a_listing_shows_the_status_that_was_asked_for(payments: Payments):
    orders = {
        Status.AUTHORIZED: await payments.authorized(),
        Status.CAPTURED: await payments.captured(),
        Status.PARTIALLY_REFUNDED: await payments.captured(),
        Status.REFUNDED: await payments.captured(),
        Status.VOIDED: await payments.authorized(),
    }
    await refund(payments, orders[Status.PARTIALLY_REFUNDED], 1)
    await refund(payments, orders[Status.REFUNDED])
    await payments.void(orders[Status.VOIDED])
    for status, order_id in orders.items():
        found = await payments.queries.page(auditor(), status, None, 10)
        assert [payment.order_id for payment in found] == [order_id]


async def test_pages_join_without_gap_or_repetition_newest_first(payments: Payments):
    orders = [await payments.authorized() for _ in range(5)]
    seen, before = [], None
    while page := await payments.queries.page(auditor(), None, before, 2):
        seen += [payment.order_id for payment in page]
        before = page[-1].payment_id
    assert seen == orders[::-1]


def auditor() -> Principal:
    return Principal("eve", "user", permissions=frozenset({"payments.read"}))


async def test_a_promise_whose_request_never_comes_back_is_kept(payments: Payments):
    order_id, request_id = await payments.captured(), SystemIds().uuid7()
    crashpoints.arm("payments.refund.promised:throw")
    with pytest.raises(crashpoints.CrashpointHit):
        await payments.refund(request_id, order_id, None, "spoilt")
    promised = await payments.of_order(order_id)
    assert (promised.status, promised.refunded_minor, promised.promised_minor) == (Status.CAPTURED, 0, 1000)
    assert [each.order_id for each in await payments.queries.page(auditor(), Status.CAPTURED, None, 10)] == [
        order_id
    ]
    assert not await payments.refund.keep_promises()  # its own request may still be at it
    await payments.database.execute("UPDATE refund SET promised_at = promised_at - interval '1 minute'")
    assert await payments.refund.keep_promises()
    assert not await payments.refund.keep_promises()
    assert (await payments.of_order(order_id)).status is Status.REFUNDED
    await payments.ensure_books_agree()


async def test_no_table_keeps_a_payment_method_that_the_provider_has_answered_for(payments: Payments):
    await payments.captured()
    with pytest.raises(FailedPrecondition):
        await payments.authorized(method="pm_declined")
    unanswered = payments.new_order()
    with pytest.raises(DeadlineExceeded):
        await payments.authorize(unanswered, ANN, Money(77_77, "USD"), "pm_card")
    kept = "SELECT array_agg(order_id::text) FROM payment WHERE payment::text LIKE '%pm\\_%'"
    assert await payments.database.fetchval(kept) == [unanswered]
    await payments.void(unanswered)
    assert await payments.database.fetchval(kept) is None
