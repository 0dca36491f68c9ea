"""One suite for inventory and payments: the fakes pass what the real services pass behind their servers."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest
import pytest_asyncio

from chassis.clock import SystemClock
from chassis.errors import AlreadyExists, DomainError, FailedPrecondition, InvalidArgument, NotFound
from chassis.ids import SystemIds
from chassis.money import Money
from chassis.quantity import Quantity
from chassis.testing.service import TokenSigner, serve
from greenledger.crops.v1.events_pb2 import LotRecalled
from interceptors.testing import SignedChain
from services.auth.domain.roles import SERVICE_SCOPES
from services.inventory.adapters.db import PostgresStock
from services.inventory.domain.stock import StockItem
from services.inventory.wiring import wire as wire_inventory
from services.orders.adapters.clients import InventoryClient, PaymentsClient
from services.orders.application.ports import Inventory, Payments
from services.orders.domain.order import Need
from services.payments.wiring import wire as wire_payments
from tests.integration.orders.fakes import FakeInventory, FakePayments

VENUE, GUEST = str(uuid4()), str(uuid4())
TEN = Money(1000, "USD")


@dataclass
class Participants:
    """Both ports with ten pieces of kale, and how to recall them."""

    inventory: Inventory
    payments: Payments
    recall: Callable[[], Awaitable[None]]


@pytest_asyncio.fixture(params=["fakes", "services"])
async def parties(request: pytest.FixtureRequest) -> AsyncIterator[Participants]:
    if request.param == "fakes":
        inventory = FakeInventory(on_hand=10)

        async def recall() -> None:
            inventory.recall()

        yield Participants(inventory, FakePayments(), recall)
        return
    async with AsyncExitStack() as stack:
        yield await real(request, stack)


async def real(request: pytest.FixtureRequest, stack: AsyncExitStack) -> Participants:
    server, signer = request.getfixturevalue("postgres_server"), TokenSigner()
    chain = SignedChain(signer, SERVICE_SCOPES)
    peers: dict[str, str] = {"catalog": "127.0.0.1:1", "crops": "127.0.0.1:1"}
    for name, wire in (("inventory", wire_inventory), ("payments", wire_payments)):
        dsn = await stack.enter_async_context(server.database(name))
        running = await stack.enter_async_context(serve(name, wire, chain, dsn, signer, peers=peers))
        peers = peers | {name: running.address}
        if name == "inventory":
            stocked = running
    lot_id, now = str(uuid4()), SystemClock().now()
    await PostgresStock(stocked.runtime.database).add(
        StockItem(
            stock_item_id=SystemIds().uuid7(),
            venue_id=VENUE,
            lot_id=lot_id,
            product_code="kale",
            on_hand=Quantity.of(10, "H87"),
            reserved=Quantity.of(0, "H87"),
            expires_at=now + timedelta(days=1),
            received_at=now,
        )
    )

    async def recall() -> None:
        await stocked.deliver("crop.recalled", LotRecalled(lot_id=lot_id, reason="salmonella"))

    # As the orders service would call: with its own account's permissions.
    settings = running.runtime.settings
    as_orders = type(settings)(**{**vars(settings), "service": "orders", "peers": peers})
    runtime = running.runtime
    channels = chain.channels(as_orders, runtime.tracing, runtime.clock, runtime.ids)
    stack.push_async_callback(channels.close)
    return Participants(
        InventoryClient(channels.get("inventory")), PaymentsClient(channels.get("payments")), recall
    )


def key() -> str:
    return str(uuid4())


def kale(pieces: int) -> list[Need]:
    return [Need(str(uuid4()), Quantity.of(pieces, "H87"), "kale")]


async def refused(kind: type[DomainError], reason: str, call: Awaitable[object]) -> None:
    with pytest.raises(kind) as caught:
        await call
    assert caught.value.reason == reason


async def test_all_of_the_stock_can_be_reserved_and_no_more(parties: Participants):
    await parties.inventory.reserve(key(), key(), VENUE, kale(10))
    call = parties.inventory.reserve(key(), key(), VENUE, kale(1))
    await refused(FailedPrecondition, "OUT_OF_STOCK", call)


async def test_released_stock_is_free_and_consumed_stock_is_gone(parties: Participants):
    first, second, inventory = key(), key(), parties.inventory
    await inventory.reserve(key(), first, VENUE, kale(10))
    await inventory.release(key(), first)
    await inventory.reserve(key(), second, VENUE, kale(4))
    for step in (inventory.hold, inventory.hold, inventory.consume, inventory.consume):
        await step(key(), second)
    await refused(FailedPrecondition, "RESERVATION_CONSUMED", inventory.release(key(), second))
    await refused(FailedPrecondition, "RESERVATION_RELEASED", inventory.hold(key(), first))
    await refused(FailedPrecondition, "OUT_OF_STOCK", inventory.reserve(key(), key(), VENUE, kale(7)))
    await inventory.reserve(key(), key(), VENUE, kale(6))


async def test_a_repeated_reservation_binds_once(parties: Participants):
    order_id, request = key(), key()
    needs = kale(6)
    for attempt in (request, request, key()):
        await parties.inventory.reserve(attempt, order_id, VENUE, needs)
    await parties.inventory.reserve(key(), key(), VENUE, kale(4))


async def test_a_release_that_comes_first_refuses_the_reservation(parties: Participants):
    order_id = key()
    await parties.inventory.release(key(), order_id)
    call = parties.inventory.reserve(key(), order_id, VENUE, kale(1))
    await refused(FailedPrecondition, "RESERVATION_RELEASED", call)


async def test_a_recall_stops_what_is_reserved_and_it_can_still_be_released(parties: Participants):
    order_id, inventory = key(), parties.inventory
    await inventory.reserve(key(), order_id, VENUE, kale(1))
    await inventory.hold(key(), order_id)
    await parties.recall()
    await refused(FailedPrecondition, "LOT_QUARANTINED", inventory.consume(key(), order_id))
    await refused(FailedPrecondition, "OUT_OF_STOCK", inventory.reserve(key(), key(), VENUE, kale(1)))
    await inventory.release(key(), order_id)


async def test_what_was_never_reserved_cannot_be_held(parties: Participants):
    await refused(NotFound, "RESERVATION_NOT_FOUND", parties.inventory.hold(key(), key()))


async def test_a_payment_is_authorized_captured_and_refunded_once_for_each_request(parties: Participants):
    order_id, payments, refund = key(), parties.payments, key()
    for _ in range(2):
        await payments.authorize(key(), order_id, GUEST, TEN, "pm_card")
    for _ in range(2):
        await payments.capture(key(), order_id)
    await refused(FailedPrecondition, "PAYMENT_CAPTURED", payments.void(key(), order_id))
    for _ in range(2):
        assert await payments.refund(refund, order_id, "lot recalled") == TEN
    call = payments.refund(key(), order_id, "lot recalled")
    await refused(FailedPrecondition, "REFUND_EXCEEDS_CAPTURE", call)


async def test_a_declined_or_impossible_payment_is_refused(parties: Participants):
    order_id, payments = key(), parties.payments
    for _ in range(2):
        call = payments.authorize(key(), order_id, GUEST, Money(66_66, "USD"), "pm_card")
        await refused(FailedPrecondition, "PAYMENT_DECLINED", call)
    await refused(FailedPrecondition, "PAYMENT_NOT_AUTHORIZED", payments.capture(key(), order_id))
    await payments.void(key(), order_id)
    cash = payments.authorize(key(), key(), GUEST, TEN, "cash")
    await refused(InvalidArgument, "PAYMENT_METHOD_INVALID", cash)
    await refused(NotFound, "PAYMENT_NOT_FOUND", payments.capture(key(), key()))


async def test_an_order_has_one_payment(parties: Participants):
    order_id = key()
    await parties.payments.authorize(key(), order_id, GUEST, TEN, "pm_card")
    other = parties.payments.authorize(key(), order_id, GUEST, Money(1, "USD"), "pm_card")
    await refused(AlreadyExists, "REQUEST_ID_REUSED", other)
    await refused(FailedPrecondition, "PAYMENT_NOT_CAPTURED", parties.payments.refund(key(), order_id, ""))


async def test_a_void_that_comes_first_refuses_the_authorization(parties: Participants):
    order_id, payments = key(), parties.payments
    for _ in range(2):
        await payments.void(key(), order_id)
    call = payments.authorize(key(), order_id, GUEST, TEN, "pm_card")
    await refused(FailedPrecondition, "PAYMENT_VOIDED", call)
    await refused(FailedPrecondition, "PAYMENT_VOIDED", payments.capture(key(), order_id))
