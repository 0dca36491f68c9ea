"""Stock is set aside, given back, runs out or is consumed; each once."""

import asyncio
from datetime import timedelta

import pytest

from chassis.background import Every
from chassis.errors import FailedPrecondition, InvalidArgument, NotFound
from chassis.testing import eventually
from chassis.testing.service import published
from services.inventory.domain.reservation import State
from tests.integration.inventory.conftest import VENUE, Inventory, need, new_id


async def refused(kind, reason, call):
    with pytest.raises(kind) as caught:
        await call
    assert caught.value.reason == reason


async def topics(inventory: Inventory) -> list[str]:
    rows = await inventory.database.fetch("SELECT topic FROM outbox ORDER BY position")
    return [row["topic"].removeprefix("inventory.") for row in rows]


async def test_a_reservation_binds_stock_until_it_is_consumed(inventory: Inventory):
    item = await inventory.stocked(10)
    order_id = await inventory.reserved(need(4))
    assert await inventory.amounts(item) == ("10", "4")
    assert (await inventory.reservations.confirm(order_id)).state is State.CONFIRMED
    consumed = await inventory.reservations.consume(order_id)
    assert [str(each.quantity) for each in consumed.allocations] == ["4 H87"]
    assert await inventory.amounts(item) == ("6", "0")
    assert await topics(inventory) == ["received", "reserved", "consumed"]
    await inventory.ensure_exact()


async def test_every_command_may_be_repeated_and_tells_once(inventory: Inventory):
    item = await inventory.stocked(10)
    order_id = new_id()
    first = await inventory.reservations.reserve(order_id, VENUE, [need(4)])
    assert await inventory.reservations.reserve(order_id, VENUE, [need(4)]) == first
    for command in (inventory.reservations.confirm, inventory.reservations.consume):
        assert await command(order_id) == await command(order_id)
    assert await inventory.amounts(item) == ("6", "0")
    assert await topics(inventory) == ["received", "reserved", "consumed"]


async def test_all_lines_are_set_aside_or_none(inventory: Inventory):
    item = await inventory.stocked(10)
    order_id = new_id()
    call = inventory.reservations.reserve(order_id, VENUE, [need(4), need(7)])
    await refused(FailedPrecondition, "OUT_OF_STOCK", call)
    assert await inventory.amounts(item) == ("10", "0")
    await refused(NotFound, "RESERVATION_NOT_FOUND", inventory.reservations.get(order_id))
    # A refusal leaves no trace, so that the order may be tried again with less.
    assert (await inventory.reservations.reserve(order_id, VENUE, [need(4)])).state is State.HELD


async def test_an_order_may_take_from_several_lots_the_earliest_expiry_first(inventory: Inventory):
    late, early = await inventory.stocked(5, days=20), await inventory.stocked(5, days=2)
    await inventory.reserved(need(3), need(4))
    assert (await inventory.amounts(early), await inventory.amounts(late)) == (("5", "5"), ("5", "2"))
    await inventory.ensure_exact()


async def test_one_lot_only_means_that_lot(inventory: Inventory):
    other, item = await inventory.stocked(5, days=2), await inventory.stocked(5)
    await inventory.reserved(need(2, lot_id=item.lot_id))
    assert (await inventory.amounts(other), await inventory.amounts(item)) == (("5", "0"), ("5", "2"))


async def test_needs_are_converted_to_the_unit_of_the_stock(inventory: Inventory):
    item = await inventory.stocked("1.5", "KGM")
    await inventory.reserved(need("250", "GRM"))
    assert await inventory.amounts(item) == ("1.5", "0.25")


async def test_nothing_is_not_reserved(inventory: Inventory):
    await refused(InvalidArgument, "QUANTITY_ZERO", inventory.reserved(need(0)))


async def test_given_back_stock_is_available_again(inventory: Inventory):
    item = await inventory.stocked(10)
    order_id = await inventory.reserved(need(4))
    assert await inventory.reservations.release(order_id) == await inventory.reservations.release(order_id)
    assert await inventory.amounts(item) == ("10", "0")
    assert await topics(inventory) == ["received", "reserved", "released"]
    call = inventory.reservations.reserve(order_id, VENUE, [need(4)])
    await refused(FailedPrecondition, "RESERVATION_RELEASED", call)


async def test_a_release_that_comes_first_refuses_the_reservation(inventory: Inventory):
    item = await inventory.stocked(10)
    order_id = new_id()
    assert (await inventory.reservations.release(order_id)).state is State.RELEASED
    call = inventory.reservations.reserve(order_id, VENUE, [need(1)])
    await refused(FailedPrecondition, "RESERVATION_RELEASED", call)
    assert await inventory.amounts(item) == ("10", "0")
    assert "released" not in await topics(inventory)  # nothing was


async def test_consumed_goods_cannot_be_given_back(inventory: Inventory):
    await inventory.stocked(10)
    order_id = await inventory.reserved(need(4))
    await inventory.reservations.consume(order_id)
    await refused(FailedPrecondition, "RESERVATION_CONSUMED", inventory.reservations.release(order_id))


async def test_what_nobody_confirms_runs_out_and_what_is_confirmed_does_not(inventory: Inventory):
    item = await inventory.stocked(10)
    orders = [await inventory.reserved(need(1)) for _ in range(3)]
    await inventory.reservations.confirm(orders[1])
    assert await inventory.reservations.expire() == 0
    inventory.clock.advance(timedelta(minutes=15, microseconds=1))
    assert await inventory.reservations.expire() == 2
    states = [(await inventory.reservations.get(order_id)).state for order_id in orders]
    assert states == [State.EXPIRED, State.CONFIRMED, State.EXPIRED]
    assert await inventory.amounts(item) == ("10", "1")
    for call in (inventory.reservations.confirm, inventory.reservations.consume):
        await refused(FailedPrecondition, "RESERVATION_EXPIRED", call(orders[0]))
    assert (await inventory.reservations.release(orders[0])).state is State.EXPIRED
    assert len(await published(inventory.database, "inventory.released")) == 2
    await inventory.ensure_exact()


async def test_the_loop_gives_back_what_runs_out_until_it_is_stopped(inventory: Inventory):
    item = await inventory.stocked(10)
    loop = Every("expiry", inventory.reservations.expire, timedelta(milliseconds=5))
    running = asyncio.create_task(loop.run())
    await inventory.reserved(need(4))
    inventory.clock.advance(timedelta(minutes=16))

    async def free() -> bool:
        return await inventory.amounts(item) == ("10", "0")

    await eventually(free)
    await loop.stop()
    await asyncio.wait_for(running, 5)


async def test_what_is_unknown_cannot_be_confirmed_or_consumed(inventory: Inventory):
    for call in (inventory.reservations.confirm, inventory.reservations.consume, inventory.reservations.get):
        await refused(NotFound, "RESERVATION_NOT_FOUND", call(new_id()))


async def test_a_recall_blocks_the_lot_and_the_orders_that_hold_it(inventory: Inventory):
    item, other = await inventory.stocked(10, days=2), await inventory.stocked(1)
    order_id = await inventory.reserved(need(4))
    for _ in range(2):
        await inventory.quarantine(item.lot_id)
    for call in (inventory.reservations.confirm, inventory.reservations.consume):
        await refused(FailedPrecondition, "LOT_QUARANTINED", call(order_id))
    await refused(FailedPrecondition, "OUT_OF_STOCK", inventory.reserved(need(2)))
    await inventory.reserved(need(1))
    assert await inventory.amounts(other) == ("1", "1")
    await inventory.reservations.release(order_id)
    assert await inventory.amounts(item) == ("10", "0")
    assert len(await published(inventory.database, "inventory.quarantined")) == 1
