"""Calls that come twice, too late or in the wrong order, and events that come again."""

import asyncio
import signal
import uuid
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from google.type.money_pb2 import Money

from chassis.testing import eventually
from fleet.client import CallFailed, Credentials
from fleet.testing.live import LiveFleet
from greenledger.auth.v1 import auth_pb2
from greenledger.common.v1.quantity_pb2 import Quantity
from greenledger.inventory.v1 import inventory_pb2
from greenledger.payments.v1 import payments_pb2
from tests.resilience.fleet import invariants, steps
from tests.resilience.fleet.crashes import wait_for_its_death
from tests.resilience.fleet.market import CARD, PASSWORD, Market, new_id

pytestmark = [pytest.mark.slow, pytest.mark.asyncio(loop_scope="session")]

# The simulator's magic amounts, in minor units.
DECLINED, LATE_AUTHORIZATION, LATE_CAPTURE = 6666, 8888, 9999
UNANSWERED = 7777


async def test_a_release_that_comes_before_its_reservation_makes_it_refuse(
    market: Market, live: LiveFleet
) -> None:
    order_id = new_id()
    await steps.release(live, order_id)
    with pytest.raises(CallFailed, match="RESERVATION_RELEASED"):
        await _reserve(market, order_id)
    assert (
        await live.fetchval("inventory", "SELECT count(*) FROM allocation WHERE order_id = $1", order_id) == 0
    )
    await invariants.check(live)


async def test_a_void_that_comes_before_its_authorization_makes_it_refuse(live: LiveFleet) -> None:
    order_id = new_id()
    await steps.void(live, order_id)
    with pytest.raises(CallFailed, match="PAYMENT_VOIDED"):
        await _authorize(live, order_id)
    with pytest.raises(CallFailed, match="PAYMENT_VOIDED"):
        await _capture(live, order_id)
    assert await _kept(live, order_id) == 0


async def test_a_revocation_that_comes_before_its_activation_makes_it_refuse(
    market: Market, live: LiveFleet
) -> None:
    auth, token = live.rpc("auth"), await live.token_of("users")
    user_id, email = str(uuid.uuid4()), f"early.{uuid.uuid4().hex[:8]}@example.com"
    prepare = auth_pb2.PrepareCredentialsRequest(email=email, password=PASSWORD, role="guest")
    ticket = (await auth.call(auth.auth.PrepareCredentials, prepare, token)).ticket
    await steps.revoke(live, user_id)
    activate = auth_pb2.ActivateCredentialsRequest(request_id=new_id(), user_id=user_id, ticket=ticket)
    with pytest.raises(CallFailed, match="CREDENTIALS_REVOKED"):
        await auth.call(auth.auth.ActivateCredentials, activate, token)
    with pytest.raises(CallFailed, match="CREDENTIALS_INVALID"):
        await market.log_in(Credentials(email, PASSWORD))


async def test_every_call_of_a_checkout_may_come_many_times_at_once(market: Market, live: LiveFleet) -> None:
    order_id, same = new_id(), new_id()
    await _many(lambda key: _reserve(market, order_id, key), same)
    await _many(lambda key: _authorize(live, order_id, key), same)
    await _many(lambda key: _capture(live, order_id, key), same)
    await _many(lambda key: _consume(live, order_id, key), same)
    gone = "SELECT sum(amount) FROM allocation WHERE order_id = $1"
    assert await live.fetchval("inventory", gone, order_id) == 1
    assert await _kept(live, order_id) == 500
    for service, topic in (("inventory", "inventory.consumed"), ("payments", "payment.succeeded")):
        told = "SELECT count(*) FROM outbox WHERE topic = $1 AND key = $2"
        assert await live.fetchval(service, told, topic, order_id) == 1
    await invariants.check(live)


async def test_a_checkout_asked_for_many_times_at_once_is_one_order(market: Market, live: LiveFleet) -> None:
    request_id = new_id()
    answers = await asyncio.gather(*(market.outcome(request_id) for _ in range(8)))
    assert set(answers) == {"FULFILLED"}
    count = "SELECT count(*) FROM customer_order WHERE request_id = $1"
    assert await live.fetchval("orders", count, request_id) == 1
    await invariants.check(live)


async def test_answers_that_come_after_the_timeout_change_nothing(market: Market, live: LiveFleet) -> None:
    """The provider is late, or silent; inventory and payments answer when orders waits no more."""
    expected = {
        LATE_AUTHORIZATION: "FULFILLED",
        LATE_CAPTURE: "FULFILLED",
        DECLINED: "PAYMENT_DECLINED",
        UNANSWERED: "PROVIDER_TIMEOUT",
    }
    product = market.goods.product_code
    dishes = {amount: await market.dish(product, amount) for amount in expected}
    plain = new_id()
    await asyncio.gather(
        live.restart("inventory", "idempotency.committed:delay=5500"),
        live.restart("payments", "payments.capture.answered:delay=5500"),
    )
    found = await asyncio.gather(
        market.outcome(plain), *(market.outcome(new_id(), dishes[amount]) for amount in expected)
    )
    assert found == ["FULFILLED", *expected.values()]
    await invariants.check(live)


async def test_events_sent_again_take_no_effect_again(market: Market, live: LiveFleet) -> None:
    """The relay dies after it has sent and before it has noted so; then it sends all there ever was."""
    await market.outcome(new_id())
    await invariants.check_events(live)
    before = await live.fetchval("notifications", "SELECT count(*) FROM notification")
    request_id = new_id()
    await live.restart("orders", "relay.after_send")
    asking = asyncio.ensure_future(market.outcome(request_id))
    await wait_for_its_death(live, "orders")
    await live.fetch("orders", "UPDATE relay_cursor SET position = 0")
    await live.start_service("orders")
    assert await asking == "FULFILLED"
    await _caught_up(live, "orders")
    await invariants.check_events(live)
    assert await live.fetchval("notifications", "SELECT count(*) FROM notification") == before + 1


async def test_a_trace_that_hears_everything_anew_in_another_order_knows_the_same(
    market: Market, live: LiveFleet
) -> None:
    """The broker is emptied, so all relays send at once, whatever the order was between their topics."""
    await live.kill("trace")
    rows = await live.fetch("trace", _EVERYTHING_HEARD)
    await live.fetch("trace", f"TRUNCATE {', '.join(row['tablename'] for row in rows)}")
    live.crash_server("broker", signal.SIGKILL)
    await live.start_service("trace")
    await market.outcome(new_id())
    await invariants.check(live)
    await invariants.check_events(live, 60.0)


_EVERYTHING_HEARD = """
SELECT tablename FROM pg_tables
WHERE schemaname = 'public' AND tablename NOT IN ('alembic_version', 'operator_action')
    AND tablename NOT LIKE 'outbox%' AND tablename NOT LIKE 'relay%'
"""


async def _many(call: Callable[[str], Awaitable[Any]], same: str) -> None:
    """Four times under one request id and four times under others, all at once."""
    await asyncio.gather(*(call(same) for _ in range(4)), *(call(new_id()) for _ in range(4)))


async def _reserve(market: Market, order_id: str, key: str = "") -> None:
    inventory, token = market.live.rpc("inventory"), await market.live.token_of("orders")
    line = inventory_pb2.ReservationLine(
        menu_item_id=market.goods.menu_item_id,
        product_code=market.goods.product_code,
        quantity=Quantity(amount="1", unit_code="KGM"),
    )
    request = inventory_pb2.ReserveStockRequest(
        request_id=key or new_id(), order_id=order_id, venue_id=market.venue_id, lines=[line]
    )
    await inventory.call(inventory.inventory.ReserveStock, request, token)


async def _consume(live: LiveFleet, order_id: str, key: str) -> None:
    inventory, token = live.rpc("inventory"), await live.token_of("orders")
    request = inventory_pb2.ConsumeReservationRequest(request_id=key, order_id=order_id)
    await inventory.call(inventory.inventory.ConsumeReservation, request, token)


async def _authorize(live: LiveFleet, order_id: str, key: str = "") -> None:
    payments, token = live.rpc("payments"), await live.token_of("orders")
    request = payments_pb2.AuthorizePaymentRequest(
        request_id=key or new_id(),
        order_id=order_id,
        payer_id=order_id,
        amount=Money(currency_code="USD", units=5),
        payment_method=CARD,
    )
    await payments.call(payments.payments.AuthorizePayment, request, token)


async def _capture(live: LiveFleet, order_id: str, key: str = "") -> None:
    payments, token = live.rpc("payments"), await live.token_of("orders")
    request = payments_pb2.CapturePaymentRequest(request_id=key or new_id(), order_id=order_id)
    await payments.call(payments.payments.CapturePayment, request, token)


async def _kept(live: LiveFleet, order_id: str) -> int:
    sql = """
    SELECT coalesce(sum(c.captured_minor - c.refunded_minor), 0)::int
    FROM simulated_charge c JOIN payment p ON p.payment_id::text = c.key WHERE p.order_id = $1
    """
    return int(await live.fetchval("payments", sql, order_id))


async def _caught_up(live: LiveFleet, service: str) -> None:
    """The relay has nothing left to send."""
    sql = "SELECT (SELECT max(position) FROM outbox) <= max(position) FROM relay_cursor"
    await eventually(lambda: live.fetchval(service, sql), 20)
