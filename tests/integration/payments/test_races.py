"""What meets at the provider, and what meets in the database."""

import asyncio

import pytest

from chassis.database import Transaction
from chassis.errors import DomainError, FailedPrecondition
from chassis.ids import SystemIds
from chassis.money import Money
from chassis.testing import eventually
from chassis.testing.service import published
from greenledger.payments.v1.events_pb2 import PaymentRefunded
from services.payments.domain.payment import State
from tests.integration.payments.conftest import ANN, TEN, Payments


async def outcomes(*calls) -> list[object]:
    """Reasons of those that were refused, states of those that were not."""
    found = await asyncio.gather(*calls, return_exceptions=True)
    for each in found:
        if isinstance(each, BaseException) and not isinstance(each, DomainError):
            raise each
    return [each.reason if isinstance(each, DomainError) else each.state for each in found]


@pytest.mark.parametrize("round_", range(5))
async def test_a_void_that_meets_the_authorization_at_the_provider_wins(payments: Payments, round_):
    order_id, gate = payments.new_order(), asyncio.Barrier(2)
    payments.provider.gates = {"authorize": gate, "void": gate}
    authorize = asyncio.create_task(payments.authorize(order_id, ANN, TEN, "pm_card"))
    await wait_for_state(payments, order_id, State.PENDING)
    assert await outcomes(payments.void(order_id), authorize) == [State.VOIDED, "PAYMENT_VOIDED"]
    assert (await payments.books(order_id))["state"] == "VOIDED"
    await payments.ensure_books_agree()


async def wait_for_state(payments: Payments, order_id: str, state: State) -> None:
    async def reached() -> bool:
        payment = await payments.store.of_order(order_id)
        return payment is not None and payment.state is state

    await eventually(reached, interval_s=0.001)


@pytest.mark.parametrize("round_", range(10))
async def test_of_capture_and_void_one_wins_and_the_books_say_which(payments: Payments, round_):
    order_id, start = await payments.authorized(), asyncio.Barrier(2)

    async def together(call):
        await start.wait()
        return await call(order_id)

    ended = await outcomes(together(payments.capture), together(payments.void))
    assert ended in ([State.CAPTURED, "PAYMENT_CAPTURED"], ["PAYMENT_VOIDED", State.VOIDED])
    await payments.ensure_books_agree()


@pytest.mark.parametrize("first", ["capture", "void"])
async def test_capture_and_void_that_queue_for_the_payment_decide_one_after_the_other(payments, first):
    order_id = await payments.authorized()
    calls = [payments.capture, payments.void] if first == "capture" else [payments.void, payments.capture]
    async with payments.database.transaction() as tx:
        await tx.execute("SELECT FROM payment WHERE order_id = $1 FOR UPDATE", order_id)
        tasks = []
        for waiting, call in enumerate(calls, 1):
            tasks.append(asyncio.create_task(call(order_id)))
            await eventually(lambda n=waiting: blocked(tx, n))
    ended = await outcomes(*tasks)
    assert ended == (
        [State.CAPTURED, "PAYMENT_CAPTURED"] if first == "capture" else [State.VOIDED, "PAYMENT_VOIDED"]
    )
    await payments.ensure_books_agree()


async def blocked(tx: Transaction, waiting: int) -> bool:
    return await tx.fetchval("SELECT count(*) FROM pg_locks WHERE NOT granted") >= waiting


async def test_a_capture_under_way_is_not_overtaken_by_a_void(payments: Payments):
    order_id, gate = await payments.authorized(), asyncio.Barrier(2)
    payments.provider.gates = {"capture": gate}
    capture = asyncio.create_task(payments.capture(order_id))
    await wait_for_state(payments, order_id, State.CAPTURING)
    with pytest.raises(FailedPrecondition, match="can only be refunded"):
        await payments.void(order_id)
    await gate.wait()
    assert (await capture).state is State.CAPTURED


async def test_concurrent_captures_take_the_money_once(payments: Payments):
    order_id, gate = await payments.authorized(), asyncio.Barrier(5)
    payments.provider.gates = {"capture": gate}
    assert await outcomes(*(payments.capture(order_id) for _ in range(5))) == [State.CAPTURED] * 5
    assert len(await published(payments.database, "payment.succeeded")) == 1
    await payments.ensure_books_agree()


async def test_concurrent_first_authorizations_are_one_payment(payments: Payments):
    order_id = payments.new_order()
    calls = (payments.authorize(order_id, ANN, TEN, "pm_card") for _ in range(8))
    assert len({payment.payment_id for payment in await asyncio.gather(*calls)}) == 1
    await payments.ensure_books_agree()


async def test_twenty_racing_refunds_never_exceed_the_capture_and_their_totals_rise(payments: Payments):
    order_id, start = await payments.captured(), asyncio.Barrier(20)

    async def give_back(number: int):
        await start.wait()
        return await payments.refund(SystemIds().uuid7(), order_id, Money(70 + number, "USD"), "")

    found = await outcomes(*(give_back(number) for number in range(20)))
    assert set(found) == {State.CAPTURED, "REFUND_EXCEEDS_CAPTURE"}
    refunds = []
    for event in await published(payments.database, "payment.refunded"):
        refunds.append(PaymentRefunded())
        event.payload.Unpack(refunds[-1])
    cents = [(each.amount.units * 100 + each.amount.nanos // 10**7) for each in refunds]
    totals = [(each.refunded_total.units * 100 + each.refunded_total.nanos // 10**7) for each in refunds]
    assert totals == [sum(cents[: index + 1]) for index in range(len(cents))]
    assert 1000 - 89 < totals[-1] <= 1000
    assert (await payments.of_order(order_id)).refunded_minor == totals[-1]
    await payments.ensure_books_agree()


async def test_one_request_id_used_for_two_orders_at_once_gives_back_once(payments: Payments):
    orders, start, request_id = (
        [await payments.captured() for _ in range(2)],
        asyncio.Barrier(2),
        SystemIds().uuid7(),
    )

    async def give_back(order_id: str):
        await start.wait()
        return await payments.refund(request_id, order_id, None, "")

    found = await outcomes(*(give_back(order_id) for order_id in orders))
    assert sorted(map(str, found)) == ["CAPTURED", "REQUEST_ID_REUSED"]
    await payments.ensure_books_agree()


async def test_a_repeat_of_a_refund_while_it_is_under_way_gives_back_once(payments: Payments):
    order_id, request_id = await payments.captured(), SystemIds().uuid7()
    calls = (payments.refund(request_id, order_id, Money(400, "USD"), "") for _ in range(6))
    assert await outcomes(*calls) == [State.CAPTURED] * 6
    assert len(await published(payments.database, "payment.refunded")) == 1
    await payments.ensure_books_agree()
