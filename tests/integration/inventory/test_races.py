"""Many at once: nothing is promised or received twice, and nobody waits in a circle."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from chassis.errors import DomainError
from chassis.quantity import Quantity
from chassis.testing.service import published
from greenledger.inventory.v1.events_pb2 import OrderAffected
from services.inventory.domain.reservation import State
from tests.integration.inventory.conftest import OWNER, VENUE, Inventory, need, new_id


async def together(*calls: Callable[[], Awaitable[Any]]) -> list[str]:
    """Start all of them at a barrier; reasons of those refused, "ok" for those that were not."""
    start = asyncio.Barrier(len(calls))

    async def one(call: Callable[[], Awaitable[Any]]) -> str:
        await start.wait()
        try:
            await call()
        except DomainError as error:
            return error.reason
        return "ok"

    return await asyncio.gather(*map(one, calls))


async def test_two_hundred_orders_for_the_last_fifty_portions(inventory: Inventory):
    items = [await inventory.stocked(amount, days=amount) for amount in (7, 13, 30)]
    orders = [new_id() for _ in range(200)]

    def reserve(order_id: str):
        return lambda: inventory.reservations.reserve(order_id, VENUE, [need(1)])

    outcomes = await together(*map(reserve, orders))
    assert Counter(outcomes) == {"ok": 50, "OUT_OF_STOCK": 150}
    assert [await inventory.amounts(item) for item in items] == [("7", "7"), ("13", "13"), ("30", "30")]
    won = [order_id for order_id, outcome in zip(orders, outcomes, strict=True) if outcome == "ok"]

    def consume(order_id: str):
        return lambda: inventory.reservations.consume(order_id)

    assert set(await together(*map(consume, won))) == {"ok"}
    assert [await inventory.amounts(item) for item in items] == [("0", "0")] * 3
    await inventory.ensure_exact()


async def test_orders_that_need_the_same_lots_in_other_orders_do_not_wait_in_a_circle(inventory: Inventory):
    first, second = await inventory.stocked(40), await inventory.stocked(40)
    lines = [need(1, lot_id=first.lot_id), need(1, lot_id=second.lot_id)]

    def reserve(number: int):
        return lambda: inventory.reservations.reserve(new_id(), VENUE, lines[:: 1 if number % 2 else -1])

    assert set(await together(*map(reserve, range(40)))) == {"ok"}
    assert await inventory.amounts(first) == await inventory.amounts(second) == ("40", "40")


async def test_expiry_and_new_orders_over_the_same_lots_do_not_wait_in_a_circle(inventory: Inventory):
    first, second = await inventory.stocked(60), await inventory.stocked(60)
    for number in range(30):
        await inventory.reserved(need(1, lot_id=(second, first)[number % 2].lot_id))
    inventory.clock.advance(timedelta(minutes=16))
    both = [need(1, lot_id=item.lot_id) for item in (first, second)]

    def reserve():
        return inventory.reservations.reserve(new_id(), VENUE, both)

    assert set(await together(*[inventory.reservations.expire] * 3, *[reserve] * 30)) == {"ok"}
    assert await inventory.amounts(first) == ("60", "30")
    assert len(await published(inventory.database, "inventory.released")) == 30
    await inventory.ensure_exact()


@pytest.mark.parametrize("round_", range(10))
async def test_a_release_and_the_reservation_it_gives_back_leave_nothing_bound(inventory: Inventory, round_):
    item, order_id = await inventory.stocked(5), new_id()
    reserve, release = await together(
        lambda: inventory.reservations.reserve(order_id, VENUE, [need(1)]),
        lambda: inventory.reservations.release(order_id),
    )
    assert (reserve in ("ok", "RESERVATION_RELEASED"), release) == (True, "ok")
    assert await inventory.amounts(item) == ("5", "0")
    assert (await inventory.reservations.get(order_id)).state is State.RELEASED


async def test_one_order_that_reserves_many_times_at_once_binds_once(inventory: Inventory):
    item, order_id = await inventory.stocked(5), new_id()
    calls = [lambda: inventory.reservations.reserve(order_id, VENUE, [need(1)])] * 8
    assert set(await together(*calls)) == {"ok"}
    assert await inventory.amounts(item) == ("5", "1")
    assert len(await published(inventory.database, "inventory.reserved")) == 1


@pytest.mark.parametrize("round_", range(10))
async def test_of_consume_and_recall_one_comes_first_and_the_books_say_which(inventory: Inventory, round_):
    item = await inventory.stocked(5)
    order_id = await inventory.reserved(need(2))
    consume, recall = await together(
        lambda: inventory.reservations.consume(order_id),
        lambda: inventory.quarantine(item.lot_id),
    )
    assert recall == "ok"
    present = await inventory.stock.get(item.stock_item_id)
    assert present is not None
    assert present.quarantined
    (blocked,) = await published(inventory.database, "inventory.quarantined")
    if consume == "ok":
        assert await inventory.amounts(item) == ("3", "0")
    else:
        assert consume == "LOT_QUARANTINED"
        assert await inventory.amounts(item) == ("5", "2")
    await inventory.ensure_exact()
    assert blocked.aggregate_id == item.stock_item_id
    (affected,) = await published(inventory.database, "inventory.order-affected")
    payload = OrderAffected()
    assert affected.payload.Unpack(payload)
    assert (payload.order_id, payload.consumed) == (order_id, consume == "ok")


@pytest.mark.parametrize("round_", range(5))
async def test_a_reservation_is_consumed_or_released_never_both(inventory: Inventory, round_):
    item = await inventory.stocked(5)
    order_id = await inventory.reserved(need(2))
    outcomes = await together(
        lambda: inventory.reservations.consume(order_id), lambda: inventory.reservations.release(order_id)
    )
    assert outcomes in (["ok", "RESERVATION_CONSUMED"], ["RESERVATION_RELEASED", "ok"])
    assert await inventory.amounts(item) == (("3", "0") if outcomes[0] == "ok" else ("5", "0"))


@pytest.mark.parametrize("round_", range(5))
async def test_a_confirmation_and_the_expiry_agree_on_one(inventory: Inventory, round_):
    item = await inventory.stocked(5)
    order_id = await inventory.reserved(need(2))
    inventory.clock.advance(timedelta(minutes=16))
    commands = inventory.reservations
    confirm, _ = await together(lambda: commands.confirm(order_id), commands.expire)
    state = (await inventory.reservations.get(order_id)).state
    assert (confirm, state) in [("ok", State.CONFIRMED), ("RESERVATION_EXPIRED", State.EXPIRED)]
    assert await inventory.amounts(item) == ("5", "2" if confirm == "ok" else "0")


async def test_twenty_receipts_of_one_lot_never_exceed_it(inventory: Inventory):
    lot_id = inventory.lot("10", "KGM")

    def receive(number: int):
        unit, amount = ("GRM", "1500") if number % 2 else ("KGM", "1.5")
        return lambda: inventory.receive(OWNER, VENUE, lot_id, Quantity.of(amount, unit))

    outcomes = Counter(await together(*map(receive, range(20))))
    assert outcomes == {"ok": 6, "QUANTITY_EXCEEDED": 14}
    assert await inventory.received(lot_id) == Decimal(9)


@pytest.mark.parametrize("round_", range(10))
async def test_a_receipt_that_meets_a_recall_is_refused_or_blocked(inventory: Inventory, round_):
    lot_id = inventory.lot(10)
    receive, _ = await together(
        lambda: inventory.receive(OWNER, VENUE, lot_id, Quantity.of(10, "H87")),
        lambda: inventory.quarantine(lot_id),
    )
    usable = await inventory.database.fetchval("SELECT count(*) FROM stock_item WHERE NOT quarantined")
    blocked = await inventory.database.fetchval("SELECT count(*) FROM stock_item WHERE quarantined")
    assert (receive, usable, blocked) in [("ok", 0, 1), ("LOT_RECALLED", 0, 0)]
    assert inventory.crops.lots[lot_id].committed.text == ("10" if blocked else "0")
    assert len(await published(inventory.database, "inventory.quarantined")) == blocked
